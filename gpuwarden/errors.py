"""The two roots of every error that gpuwarden raises on purpose."""


class GpuwardenError(Exception):
    """Something failed and the message says what; a command ends with exit status 1."""


class UserInputError(GpuwardenError):
    """The user's input is wrong and the message says where; a command ends with exit status 2."""
