"""Components in the host's own sources: what is edited, and above all what is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.plan.apt_sources import enable_components, has_release
from deploys.plan.machine import TextFile

ALL = ("main", "contrib", "non-free", "non-free-firmware")
FULL = " ".join(ALL)
MIRROR = "http://mirror.example/debian"


def edited(text: str, path: str = "/etc/apt/sources.list") -> str:
    """The text after the edit; the text itself where the file is no change."""
    changes = enable_components([TextFile(path, text)], "bookworm", ALL, "debian-archive-")
    assert len(changes) <= 1
    assert all(c.path == path and c.content != text for c in changes)
    return (changes[0].content or "") if changes else text


def edited_deb822(text: str) -> str:
    return edited(text, "/etc/apt/sources.list.d/debian.sources")


def stanza(*lines: str, suites: str = "bookworm bookworm-updates", components: str = "main") -> str:
    fields = ["Types: deb", f"URIs: {MIRROR}", f"Suites: {suites}", f"Components: {components}"]
    return "\n".join([*fields, *lines]) + "\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"deb {MIRROR} bookworm main", f"deb {MIRROR} bookworm {FULL}"),
        (f"deb {MIRROR} bookworm main\n", f"deb {MIRROR} bookworm {FULL}\n"),
        (f"deb {MIRROR} bookworm-updates main\n", f"deb {MIRROR} bookworm-updates {FULL}\n"),
        (f"deb {MIRROR} bookworm-security main\n", f"deb {MIRROR} bookworm-security {FULL}\n"),
        (
            f"deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] {MIRROR} bookworm main\n",
            f"deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] {MIRROR} bookworm {FULL}\n",
        ),
        (f"deb [ arch=amd64 ] {MIRROR} bookworm main\n", f"deb [ arch=amd64 ] {MIRROR} bookworm {FULL}\n"),
        (f"deb {MIRROR} bookworm main # the archive\n", f"deb {MIRROR} bookworm {FULL} # the archive\n"),
        (f"deb {MIRROR} bookworm main#x\n", f"deb {MIRROR} bookworm {FULL}#x\n"),
        (f"deb {MIRROR} bookworm main non-free-firmware\n", f"deb {MIRROR} bookworm main non-free-firmware contrib non-free\n"),
        (f"deb\t{MIRROR}\tbookworm\tmain\n", f"deb\t{MIRROR} bookworm {FULL}\n"),
        (f"  deb {MIRROR} bookworm main  \n", f"  deb {MIRROR} bookworm {FULL}  \n"),
        (f"deb {MIRROR} bookworm main\r\n# end\r\n", f"deb {MIRROR} bookworm {FULL}\r\n# end\r\n"),
        ("deb file:/srv/debian bookworm main\n", f"deb file:/srv/debian bookworm {FULL}\n"),
    ],
)  # fmt: skip
def test_a_line_of_the_release_gets_the_components(before: str, after: str) -> None:
    assert edited(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        f"deb {MIRROR} bookworm {FULL}\n",
        f"deb {MIRROR} bookworm non-free-firmware contrib main non-free\n",
        f"# deb {MIRROR} bookworm main\n",
        f"deb-src {MIRROR} bookworm main\n",
        f"deb {MIRROR} bookworm-backports main\n",
        f"deb {MIRROR} bookworm-proposed-updates main\n",
        f"deb {MIRROR} bullseye main\n",
        f"deb {MIRROR} stable main\n",
        "deb [signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.example/linux/debian bookworm stable\n",
        "deb https://nvidia.example/stable/deb/amd64 /\n",
        "deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_ - Official amd64 NETINST]/ bookworm main\n",
        "deb",
        "deb \n",
        f"deb {MIRROR} bookworm\n",
        "no source at all\n",
    ],
)
def test_every_other_line_stays(text: str) -> None:
    assert edited(text) == text


THIRD_PARTY = "https://packages.example/stable/debian bookworm main"


@pytest.mark.parametrize(
    ("archive", "other"),
    [
        (f"deb {MIRROR} bookworm main\n", f"deb [signed-by=/usr/share/keyrings/vendor.gpg] {THIRD_PARTY}\n"),
        (
            f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {MIRROR} bookworm main\n",
            f"deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] {THIRD_PARTY}\n",
        ),
    ],
)
def test_a_vendor_who_calls_its_component_main_stays(archive: str, other: str) -> None:
    assert edited(archive + other) == edited(archive) + other
    assert edited(archive) != archive


def test_a_vendors_file_stays_too() -> None:
    vendor = TextFile(
        "/etc/apt/sources.list.d/vendor.sources",
        "Types: deb\nURIs: https://packages.example/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/vendor.gpg\n",
    )
    archive = TextFile(
        "/etc/apt/sources.list.d/debian.sources", stanza("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg")
    )
    assert [c.path for c in enable_components([vendor, archive], "bookworm", ALL, "debian-archive-")] == [archive.path]


def test_a_mirror_that_signs_anew_is_the_archive_where_there_is_no_other() -> None:
    text = f"deb [signed-by=/etc/apt/keyrings/company.gpg] {MIRROR} bookworm main\n"
    assert edited(text) == text.replace("bookworm main", f"bookworm {FULL}")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (stanza(), stanza(components=FULL)),
        (stanza().rstrip("\n"), stanza(components=FULL).rstrip("\n")),
        (stanza("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg"), stanza("Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg", components=FULL)),
        (stanza("Enabled: yes"), stanza("Enabled: yes", components=FULL)),
        (stanza(suites="bookworm-security"), stanza(suites="bookworm-security", components=FULL)),
        (stanza(suites="bookworm-backports bookworm"), stanza(suites="bookworm-backports bookworm", components=FULL)),
        (stanza(components="main\n  non-free-firmware"), stanza(components="main non-free-firmware contrib non-free")),
        (stanza().replace("Suites: bookworm bookworm-updates", "Suites:\n bookworm\n bookworm-updates"),
         stanza(components=FULL).replace("Suites: bookworm bookworm-updates", "Suites:\n bookworm\n bookworm-updates")),
        (stanza().replace("Components", "components"), stanza(components=FULL).replace("Components", "components")),
        (stanza().replace("Types: deb", "Types: deb deb-src"), stanza(components=FULL).replace("Types: deb", "Types: deb deb-src")),
        ("# the archive\n" + stanza(), "# the archive\n" + stanza(components=FULL)),
        (stanza().replace("\n", "\r\n"), stanza(components=FULL).replace("\n", "\r\n")),
        (
            (stanza() + "\n" + stanza(suites="bookworm-backports")).replace("\n", "\r\n"),
            (stanza(components=FULL) + "\n" + stanza(suites="bookworm-backports")).replace("\n", "\r\n"),
        ),
        (stanza() + "\n" + stanza(suites="bookworm-security"), stanza(components=FULL) + "\n" + stanza(suites="bookworm-security", components=FULL)),
        (stanza() + "\n\n \n" + stanza(suites="bullseye"), stanza(components=FULL) + "\n\n \n" + stanza(suites="bullseye")),
    ],
)  # fmt: skip
def test_a_stanza_of_the_release_gets_the_components(before: str, after: str) -> None:
    assert edited_deb822(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "",
        stanza(components=FULL),
        *(stanza(f"Enabled: {no}") for no in ("no", "No", "false", "0", "off", "disable", "without")),
        stanza(suites="bookworm-backports"),
        stanza(suites="trixie"),
        stanza(components="stable"),
        stanza().replace("Types: deb", "Types: deb-src"),
        "# " + stanza().replace("\n", "\n# "),
        "Types: deb\nURIs: https://nvidia.example/deb\nSuites: /\n",
        " a continuation of nothing\n",
    ],
)
def test_every_other_stanza_stays(text: str) -> None:
    assert edited_deb822(text) == text


def test_a_comment_inside_a_stanza_stays() -> None:
    text = stanza("# as installed").replace("Components: main\n", "Components: main\n# more:\n non-free\n")
    assert edited_deb822(text) == stanza("# as installed").replace(
        "Components: main\n", "Components: main non-free contrib non-free-firmware\n# more:\n"
    )


def test_a_file_that_could_not_be_read_is_left_alone() -> None:
    assert enable_components([TextFile("/etc/apt/sources.list", None)], "bookworm", ALL) == ()


def test_only_files_that_change_are_named() -> None:
    files = [
        TextFile("/etc/apt/sources.list", "# see sources.list.d\n"),
        TextFile("/etc/apt/sources.list.d/a.sources", stanza()),
        TextFile("/etc/apt/sources.list.d/b.list", f"deb {MIRROR}-security bookworm-security main\n"),
        TextFile("/etc/apt/sources.list.d/c.list", f"deb {MIRROR} bookworm {FULL}\n"),
    ]
    assert [f.path for f in enable_components(files, "bookworm", ALL)] == [files[1].path, files[2].path]


def test_a_complete_source_names_the_release_too() -> None:
    assert has_release([TextFile("/etc/apt/sources.list", f"deb {MIRROR} bookworm {FULL}\n")], "bookworm")
    assert not has_release([TextFile("/etc/apt/sources.list", f"deb {MIRROR} bookworm-updates main\n")], "bookworm")


SUITES = st.sampled_from(["bookworm", "bookworm-updates", "bookworm-security", "bookworm-backports", "trixie", "/"])
COMPONENTS = st.lists(st.sampled_from([*ALL, "stable"]), unique=True, max_size=5).map(" ".join)
SPACE = st.sampled_from([" ", "  ", "\t"])
OPTIONS = st.sampled_from(["", "[arch=amd64] ", "[ signed-by=/k.gpg ] ", "[arch=amd64,arm64 trusted=yes]\t"])
URIS = st.sampled_from([MIRROR, "https://a.example/x", "file:///srv/debian", "mirror+file:/etc/apt/mirrors.txt"])
LINES = st.one_of(
    st.builds(
        lambda kind, options, uri, suite, a, components, tail: f"{kind} {options}{uri}{a}{suite}{a}{components}{tail}",
        st.sampled_from(["deb", "deb-src", "# deb", " deb"]),
        OPTIONS,
        URIS,
        SUITES,
        SPACE,
        COMPONENTS,
        st.sampled_from(["", " ", " # note", "\r"]),
    ),
    st.text(alphabet="deb# []/:main\tx", max_size=20),
)
FIELDS = st.one_of(
    st.sampled_from(["Types: deb", "Types: deb deb-src", "Types: deb-src", "Enabled: no", "Enabled: yes", "# a note", ""]),
    st.builds("URIs: {}".format, URIS),
    st.builds("Suites:{}{}".format, SPACE, SUITES),
    st.builds("Components: {}".format, COMPONENTS),
    st.builds("\n {}".format, COMPONENTS),
)  # fmt: skip
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, st.lists(LINES, max_size=8), st.sampled_from(["", "\n"]))
DEB822 = st.builds(
    lambda lines, end: "\n".join(lines) + end, st.lists(FIELDS, max_size=14), st.sampled_from(["", "\n"])
)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_one_line_files_line_by_line(text: str) -> None:
    once = edited(text)
    assert edited(once) == once
    before, after = text.split("\n"), once.split("\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if old == new:
            continue
        assert old.strip().startswith("deb ")
        words, more = old.partition("#")[0].split(), new.partition("#")[0].split()
        assert more[: len(words)] == words  # options, URI, suite and what was there keep their order
        assert set(more[len(words) :]) <= set(ALL)
        assert old.partition("#")[2] == new.partition("#")[2]
        assert old.endswith("\r") == new.endswith("\r")


@settings(max_examples=200, deadline=None)
@given(DEB822)
def test_deb822_files_field_by_field(text: str) -> None:
    once = edited_deb822(text)
    assert edited_deb822(once) == once
    names = ("Types:", "URIs:", "Suites:", "Enabled:", "#")
    assert [x for x in once.split("\n") if x.startswith(names)] == [x for x in text.split("\n") if x.startswith(names)]
    assert once.endswith("\n") == text.endswith("\n")


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["/etc/apt/sources.list", "/etc/apt/sources.list.d/a.sources"]))
def test_any_text_is_answered(text: str, path: str) -> None:
    once = edited(text, path)
    assert edited(once, path) == once
    has_release([TextFile(path, text)], "bookworm")
