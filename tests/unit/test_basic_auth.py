import asyncio
import base64
import threading
import time

import bcrypt
import pytest

from gpuwarden.basic_auth import BasicAuth, Verdict, matches

COST = 4


def hashed(password, cost=COST):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def header(name, password):
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())


def verdicts(auth, *headers):
    async def main():
        return [await auth.verdict(said) for said in headers]

    return asyncio.run(main())


class Counted:
    """The real bcrypt, and the hashes that it was asked about."""

    def __init__(self):
        self.asked = []

    def __call__(self, password, known):
        self.asked.append(known)
        return matches(password, known)


def test_only_the_right_password_of_a_known_user_is_let_in():
    """Anybody would read the page, or nobody."""
    auth = BasicAuth({"alice": hashed("open sesame"), "bøb": hashed("pass:word ü")})
    said = [
        header("alice", "open sesame"),
        header("bøb", "pass:word ü"),
        header("alice", "open sesam"),
        header("alice", ""),
        header("alice", "pass:word ü"),
        header("carol", "open sesame"),
        header("", ""),
    ]
    assert [found is Verdict.LET_IN for found in verdicts(auth, *said)] == [True, True] + 5 * [False]


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"",
        b"Basic",
        b"Basic !!!",
        b"Bearer abc",
        b"Basic " + base64.b64encode(b"alice"),
        b"Basic " + base64.b64encode(b"alice:open\0sesame"),
        b"Basic " + base64.b64encode(b"alice:" + b"\xff" * 5000),
    ],
    ids=["absent", "empty", "bare", "not base64", "bearer", "no colon", "a NUL", "long"],
)
def test_a_broken_header_is_refused(said):
    """A malformed header would end in a 500 and a traceback."""
    assert verdicts(BasicAuth({"alice": hashed("open sesame")}), said) == [Verdict.REFUSED]


def test_a_password_costs_one_bcrypt_right_or_wrong():
    """A scrape each second would cost 50 ms of a core each time, also with a mistyped password."""
    counted = Counted()
    auth = BasicAuth({"alice": hashed("open sesame")}, counted)
    right, wrong = header("alice", "open sesame"), header("alice", "oops")

    assert verdicts(auth, right, wrong, right, wrong, right) == [
        Verdict.LET_IN,
        Verdict.REFUSED,
        Verdict.LET_IN,
        Verdict.REFUSED,
        Verdict.LET_IN,
    ]
    assert len(counted.asked) == 2


def test_an_unknown_name_costs_what_a_known_one_does():
    """Names could be told by the time that their refusal takes."""
    counted = Counted()
    auth = BasicAuth({"alice": hashed("a", 4), "bob": hashed("b", 5)}, counted)
    verdicts(auth, header("bob", "wrong"), header("carol", "wrong"))

    assert [known[:7] for known in counted.asked] == [b"$2b$05$", b"$2b$05$"]


def test_the_same_question_by_many_at_once_is_asked_once():
    """Sixty-four scrapers that start together would wait for sixty-four bcrypts."""
    counted = Counted()
    auth = BasicAuth({"alice": hashed("open sesame")}, counted)

    async def main():
        return await asyncio.gather(*(auth.verdict(header("alice", "open sesame")) for _ in range(64)))

    assert asyncio.run(main()) == 64 * [Verdict.LET_IN]
    assert len(counted.asked) == 1


def test_guessing_is_bounded_and_does_not_stop_who_is_known():
    """Somebody who guesses passwords would take all cores, or keep the scraper out."""
    go_on, most, running = threading.Event(), [], set()

    def slow(password, known):
        if password.startswith(b"guess"):
            running.add(password)
            most.append(len(running))
            go_on.wait(10)
            running.discard(password)
        return matches(password, known)

    auth = BasicAuth({"alice": hashed("open sesame")}, slow)

    async def main():
        assert await auth.verdict(header("alice", "open sesame")) is Verdict.LET_IN
        guesses = [asyncio.create_task(auth.verdict(header("alice", f"guess {n}"))) for n in range(200)]
        done, waiting = await asyncio.wait(guesses, timeout=0.2)
        known = await auth.verdict(header("alice", "open sesame"))
        go_on.set()
        return [task.result() for task in done], await asyncio.gather(*waiting), known

    at_once, later, known = asyncio.run(main())
    assert at_once == 168 * [Verdict.BUSY]
    assert later == 32 * [Verdict.REFUSED]
    assert known is Verdict.LET_IN
    assert max(most) == 1


def test_remembered_refusals_are_bounded():
    """Guessing would grow the exporter's memory."""
    auth = BasicAuth({"alice": hashed("open sesame")})
    verdicts(auth, *(header("alice", f"guess {number}") for number in range(200)))

    assert len(auth._refused) == 128


def test_the_page_is_served_while_a_password_is_checked():
    """Each check would hold up every other client for as long as bcrypt takes."""
    auth = BasicAuth({"alice": hashed("open sesame", 12)})

    async def main():
        check = asyncio.create_task(auth.verdict(header("alice", "open sesame")))
        turns = 0
        while not check.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    begun = time.monotonic()
    turns = asyncio.run(main())
    assert turns > 5, f"{turns} turns in {time.monotonic() - begun:.3f} s"


def test_who_was_let_in_stays_known_when_the_file_is_read_again():
    """With each renewal of a certificate a scraper would stand in line behind those who guess, and get nothing."""
    hashes, asked = {"ann": "$2b$04$" + "a" * 53, "bob": "$2b$04$" + "b" * 53}, []

    def matches(password, known):
        asked.append(password)
        return True

    before = BasicAuth(hashes, matches)
    for name in hashes:
        assert asyncio.run(before.verdict(header(name, "secret"))) is Verdict.LET_IN
    after = BasicAuth({**hashes, "bob": "$2b$04$" + "c" * 53}, matches)
    after.know_from(before)

    asked.clear()
    assert asyncio.run(after.verdict(header("ann", "secret"))) is Verdict.LET_IN
    assert asked == []
    asyncio.run(after.verdict(header("bob", "secret")))
    assert len(asked) == 1
