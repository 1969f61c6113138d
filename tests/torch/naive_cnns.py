"""The 3D U-Net, EfficientNet-B0 and YOLOv5s once more, from what was published and by window: slow, without layers."""

import math

import torch

EFFICIENTNET = [
    # wider, kernel, first stride, channels out, blocks: table 1 of the paper, with the sizes of its figure's MBConv1, 6
    *[(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)],
    *[(6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)],
]


def silu(values):
    return values / (1 + (-values).exp())


def windows(image, side, stride, around, value=0.0):
    """Of a picture or a volume, the surroundings of each of its places in as many last dimensions."""
    dimensions = image.dim() - 1
    found = torch.nn.functional.pad(image, (around,) * 2 * dimensions, value=value)
    for dimension in range(1, dimensions + 1):
        found = found.unfold(dimension, side, stride)
    return found


def convolve(image, weight, stride=1, around=None, bias=None):
    dimensions = image.dim() - 1
    around = weight.shape[2] // 2 if around is None else around
    found = windows(image, weight.shape[2], stride, around)
    # windows: channels, places, window; weights: channels out, channels, window
    found = torch.tensordot(weight, found, dims=(
        list(range(1, dimensions + 2)), [0, *range(dimensions + 1, 2 * dimensions + 1)]
    ))  # fmt: skip
    return found if bias is None else found + bias[(...,) + (None,) * dimensions]


def convolve_each(image, weight, stride):
    """Each channel with its own window."""
    return (windows(image, weight.shape[2], stride, weight.shape[2] // 2) * weight[:, 0, None, None]).sum(dim=(3, 4))


def normalise(image, weights, name, epsilon):
    mean, spread, weight, bias = (
        weights[f"{name}.{key}"][(...,) + (None,) * (image.dim() - 1)]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (image - mean) / (spread + epsilon).sqrt() * weight + bias


def largest(image, side, stride, around=0):
    found = windows(image, side, stride, around, -math.inf)
    return found.flatten(image.dim()).amax(dim=-1)


def unet3d(weights, volume):
    """The labels' logits of one volume; figure 2 of the paper, with padding."""

    def twice(found, name):
        for number in (0, 3):
            kernel, bias = weights[f"{name}.{number}.weight"], weights[f"{name}.{number}.bias"]
            found = convolve(found, kernel, bias=bias)
            found = normalise(found, weights, f"{name}.{number + 1}", 1e-5).clamp(min=0)
        return found

    def enlarged(found, kernel):
        """Each voxel becomes 2 x 2 x 2 of them."""
        _, depth, height, width = found.shape
        spread = torch.einsum("cdhw,coijk->odihjwk", found, kernel)
        return spread.reshape(kernel.shape[1], 2 * depth, 2 * height, 2 * width)

    level_1 = twice(volume, "down.0")
    level_2 = twice(largest(level_1, 2, 2), "down.1")
    level_3 = twice(largest(level_2, 2, 2), "down.2")
    found = twice(largest(level_3, 2, 2), "down.3")
    for number, beside in enumerate((level_3, level_2, level_1)):
        found = torch.cat([beside, enlarged(found, weights[f"enlarge.{number}.weight"])])
        found = twice(found, f"up.{number}")
    return convolve(found, weights["head.weight"], bias=weights["head.bias"])


def efficientnet(weights, image):
    """The logits of one image."""

    def layer(found, name, stride=1):
        return normalise(convolve(found, weights[f"{name}.0.weight"], stride), weights, f"{name}.1", 1e-3)

    found = silu(layer(image, "stem", 2))
    rows = [(row, number) for row in EFFICIENTNET for number in range(row[4])]
    for place, ((wider, _, first_stride, _, _), number) in enumerate(rows):
        name, stride = f"blocks.{place}", 1 if number else first_stride
        inner = silu(layer(found, f"{name}.widen.0")) if wider > 1 else found
        inner = convolve_each(inner, weights[f"{name}.depthwise.0.weight"], stride)
        inner = silu(normalise(inner, weights, f"{name}.depthwise.1", 1e-3))
        means = inner.mean(dim=(1, 2))
        for step in ("squeeze", "excite"):
            means = weights[f"{name}.weigh.{step}.weight"][:, :, 0, 0] @ means + weights[f"{name}.weigh.{step}.bias"]
            means = silu(means) if step == "squeeze" else 1 / (1 + (-means).exp())
        inner = layer(inner * means[:, None, None], f"{name}.narrow")
        found = inner + found if number else inner
    return weights["head.weight"] @ silu(layer(found, "last")).mean(dim=(1, 2)) + weights["head.bias"]


def yolov5s(weights, image):
    """The raw numbers of all candidates of one image: layers 0 to 24 of the published table, by their numbers."""

    def layer(found, name, stride=1, around=None):
        found = convolve(found, weights[f"{name}.convolution.weight"], stride, around)
        return silu(normalise(found, weights, f"{name}.norm", 1e-3))

    def c3(found, name, depth, added):
        through = layer(found, f"{name}.through")
        for number in range(depth):
            inner = f"{name}.bottlenecks.{number}.both"
            bent = layer(layer(through, f"{inner}.0"), f"{inner}.1")
            through = through + bent if added else bent
        return layer(torch.cat([through, layer(found, f"{name}.past")]), f"{name}.join")

    def doubled(found):
        return found.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)

    at = {0: layer(image, "to_eighth.0", 2, around=2)}
    at[1] = layer(at[0], "to_eighth.1", 2)
    at[2] = c3(at[1], "to_eighth.2", 1, added=True)
    at[3] = layer(at[2], "to_eighth.3", 2)
    at[4] = c3(at[3], "to_eighth.4", 2, added=True)
    at[5] = layer(at[4], "to_sixteenth.0", 2)
    at[6] = c3(at[5], "to_sixteenth.1", 3, added=True)
    at[7] = layer(at[6], "to_thirtysecond.0", 2)
    at[8] = c3(at[7], "to_thirtysecond.1", 1, added=True)
    narrow = layer(at[8], "to_thirtysecond.2.narrow")
    around = [largest(narrow, side, 1, side // 2) for side in (5, 9, 13)]
    at[9] = layer(torch.cat([narrow, *around]), "to_thirtysecond.2.join")
    at[10] = layer(at[9], "narrow.0")
    at[13] = c3(torch.cat([doubled(at[10]), at[6]]), "up.0", 1, added=False)
    at[14] = layer(at[13], "narrow.1")
    at[17] = c3(torch.cat([doubled(at[14]), at[4]]), "up.1", 1, added=False)
    at[20] = c3(torch.cat([layer(at[17], "halve.0", 2), at[14]]), "down.0", 1, added=False)
    at[23] = c3(torch.cat([layer(at[20], "halve.1", 2), at[10]]), "down.1", 1, added=False)
    rows = []
    for number, place in enumerate((17, 20, 23)):
        found = convolve(at[place], weights[f"detect.{number}.weight"], bias=weights[f"detect.{number}.bias"])
        rows += [found[box * 85 : (box + 1) * 85].flatten(1).T for box in range(3)]
    return torch.cat(rows)
