import pytest

from uuidfs.layout.names import is_uuid, normal_uuid, pid_file, refusal, split_log

UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"


@pytest.mark.parametrize("text", [UUID, UUID.upper(), UUID.replace("-", ""), f" {UUID}\n"])
def test_every_spelling_that_libvirt_accepts_is_one_uuid(text: str) -> None:
    assert normal_uuid(text) == UUID


@pytest.mark.parametrize("text", ["", "web", UUID[:-1], UUID + "0", UUID.replace("4", "g")])
def test_what_is_no_uuid_is_none(text: str) -> None:
    assert normal_uuid(text) is None
    assert not is_uuid(text)


def test_only_the_canonical_spelling_is_a_file_name() -> None:
    assert is_uuid(UUID)
    assert not is_uuid(UUID.upper())
    assert not is_uuid(UUID + "\n")


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("web.log", ("web", "")),
        ("web.log.0", ("web", ".0")),
        ("web.log.12.gz", ("web", ".12.gz")),
        ("web.log.gz", ("web", ".gz")),
        ("web.log-20260101", ("web", "-20260101")),
        ("web.log-20260101.xz", ("web", "-20260101.xz")),
        ("web.log-1767225600", ("web", "-1767225600")),
        ("web.log.log", ("web.log", "")),
        ("web.log.0.log.1", ("web.log.0", ".1")),
        ("two\nlines.log", ("two\nlines", "")),
        (".hidden.log", (".hidden", "")),
        ("web.log.old", None),
        ("web.xml", None),
        (".log", None),
        ("web.log~", None),
    ],
)
def test_a_logs_name_splits_into_domain_and_rotation(
    entry: str, parts: tuple[str, str] | None
) -> None:
    assert split_log(entry) == parts


@pytest.mark.parametrize(
    "name", [".", "..", "", "a/b", "a\0b", b"\xff".decode("utf-8", "surrogateescape")]
)
def test_names_that_cannot_be_handled_are_refused_with_a_reason(name: str) -> None:
    assert refusal(name)


def test_the_refusal_of_dots_says_what_libvirt_does() -> None:
    assert "libvirt itself deletes the metadata" in str(refusal(".."))


@pytest.mark.parametrize(
    "name",
    [
        "web",
        " web",
        "-web",
        ".web",
        "...",
        "a\tb",
        "a\nb",
        "%s",
        "'\"",
        "by-uuid",
        UUID,
        "x.xml",
        "x.log",
        "é" * 120,
    ],
)
def test_whatever_libvirt_accepts_otherwise_is_handled(name: str) -> None:
    assert refusal(name) is None


def test_a_pid_files_name_has_xmls_escapes() -> None:
    assert pid_file("web") == "web.pid"
    assert pid_file("a<b>&\"'\x01\t") == "a&lt;b&gt;&amp;&quot;&apos;\t.pid"
