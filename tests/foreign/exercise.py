"""What the product relies on, done by one client in an empty bucket. A failed assertion ends the process.

Quirks of a server: `s3` (its own words and limits), `list-v1` (no second version), `overwrites` (conditions on writes are not
read), `part-4m` and `part-5m` (the smallest part; OSS has 100 KiB).
"""

import hashlib

KEYS = [
    "plain", "folder/a b", "plus+sign", "per%cent", "twice%2520", "hash#tag", "what?now", "?first", "a//b", "trailing/", "naïve-ü",
    "数据/快照", "🦀", "quote'\"<>&", "tilde~star*(bang!)", "semi;colon:at@eq=dollar$comma,", "caret^|`{}[]", "e\u0301", "index-0",
    "snap-ü w+x%y.dat", "tab\there", "line\nfeed", "a" * 300,
]
DOTS = ["dots/../up", "./here", "a/./b"]
SLASHES = ["/leading", "//two"]


def refused(client, wanted, action):
    """The action has to be refused with this status and code."""
    try:
        action()
    except Exception as error:
        found = client.refusal(error)
        assert found == wanted or (found[0], wanted[1]) == (wanted[0], "*"), f"refused with {found} in the place of {wanted}"
        return
    raise AssertionError(f"not refused, although {wanted} was expected")


def pattern(length, seed):
    block = b"".join(hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(1 << 10))
    return (block * (length // len(block) + 1))[:length]


def objects(client, s3):
    content = pattern(100_000, "whole")
    client.put("whole", content, metadata={"sha": "abc", "with-dash": "a b"}, content_type="text/x-test")
    found = client.head("whole")
    assert found["size"] == len(content) and found["type"] == "text/x-test", found
    assert {name.lower(): value for name, value in found["metadata"].items()} == {"sha": "abc", "with-dash": "a b"}, found
    assert found["etag"].strip('"').lower() == hashlib.md5(content).hexdigest(), found
    assert s3 or found["crc"] is not None, found
    assert client.get("whole") == content
    assert client.get("whole", (10, 19)) == content[10:20]
    assert client.get("whole", (99_990, None)) == content[-10:]
    assert client.get("whole", (None, 7)) == content[-7:]
    if s3:
        assert client.get("whole", (99_990, 200_000)) == content[-10:]
        refused(client, (416, "InvalidRange"), lambda: client.get("whole", (200_000, 200_010)))
    else:
        # A range that is not within the object counts for none, unless the standard is asked for.
        assert client.get("whole", (99_990, 200_000)) == content
        assert client.get("whole", (99_990, 200_000), standard=True) == content[-10:]
        refused(client, (416, "InvalidRange"), lambda: client.get("whole", (200_000, 200_010), standard=True))
    client.put("empty", b"")
    assert client.get("empty") == b"" and client.head("empty")["size"] == 0
    client.put("tagged", b"1", tags="a=1&b=x%20y")
    assert client.tags("tagged") == {"a": "1", "b": "x y"}, client.tags("tagged")
    client.put("archived", b"1", storage_class="GLACIER" if s3 else "Archive")
    refused(client, (403, "InvalidObjectState"), lambda: client.get("archived"))
    refused(client, (404, "NoSuchKey"), lambda: client.get("not there"))
    refused(client, (404, "*"), lambda: client.head("not there"))
    client.copy("whole", "copy of ü+whole")
    assert client.get("copy of ü+whole") == content
    assert client.head("copy of ü+whole")["type"] == "text/x-test"
    client.delete("whole")
    client.delete("whole")
    refused(client, (404, "NoSuchKey"), lambda: client.get("whole"))


def conditions(client, quirks):
    client.put("once", b"first", once=True)
    if "overwrites" in quirks:
        client.put("once", b"second", once=True)
        assert client.get("once") == b"second"
        return
    wanted = (412, "PreconditionFailed") if "s3" in quirks else (409, "FileAlreadyExists")
    refused(client, wanted, lambda: client.put("once", b"second", once=True))
    assert client.get("once") == b"first"


def keys(client, quirks):
    names = KEYS + ([] if client.normalizes_dots else DOTS) + SLASHES
    if "s3" not in quirks:
        # OSS forbids keys that begin with a slash, and so does the newer SDK of its own; the double is not asked.
        names = [name for name in names if not name.startswith(("/", "\\"))]
    for name in names:
        client.put("keys/" + name if name in SLASHES else name, name.encode())
    stored = ["keys/" + name if name in SLASHES else name for name in names]
    listed = dict(client.list_v1() if "list-v1" in quirks else client.list())
    for name, key in zip(names, stored):
        assert client.get(key) == name.encode(), name
        assert listed.get(key) == len(name.encode()), f"{name!r} is not listed, or not so"
        client.copy(key, "copied")
        assert client.get("copied") == name.encode(), name
    gone = sorted(client.delete_many(stored))
    assert gone == sorted(stored), set(gone) ^ set(stored)
    left = [key for key, _ in client.list_v1() if key in stored]
    assert left == [], left


def listing(client, quirks):
    names = [f"list/{number // 100}/{number:04} +%ü" for number in range(230)]
    for name in names:
        client.put(name, b"12345")
    wanted = [(name, 5) for name in names]
    for page in [7, 100, 1000]:
        assert client.list_v1("list/", page) == wanted, f"version 1, pages of {page}"
        if "list-v1" not in quirks:
            assert client.list("list/", page) == wanted, f"version 2, pages of {page}"
    if "list-v1" not in quirks:
        assert client.list_after(names[-3]) == [name for name in client_keys(client) if name > names[-3]]
    assert client.list_folders("list/") == ([f"list/{number}/" for number in range(3)], [])
    assert client.list_folders("list") == (["list/"], [])
    for start in range(0, len(names), 200):
        client.delete_many(names[start:start + 200])
    assert client.list_v1("list/") == []


def client_keys(client):
    return [key for key, _ in client.list_v1()]


def parts(client, quirks):
    size = next((mebibytes << 20 for mebibytes in [4, 5] if f"part-{mebibytes}m" in quirks), 100 << 10)
    whole = pattern(2 * size + 12_345, "parts")
    key = "parts/ü of+many%"
    upload = client.begin(key)
    assert key in client.uploads()
    made = [client.put_part(key, upload, 2, whole[size:2 * size])]
    client.put_part(key, upload, 1, b"this one is replaced")
    made.insert(0, client.put_part(key, upload, 1, whole[:size]))
    made.append(client.put_part(key, upload, 3, whole[2 * size:]))
    assert client.parts(key, upload) == [(1, size), (2, size), (3, 12_345)], client.parts(key, upload)
    client.complete(key, upload, made)
    assert client.get(key) == whole and key not in client.uploads()
    found = client.head(key)
    assert found["size"] == len(whole) and found["etag"].endswith("-3"), found

    copied = client.begin("copied in parts")
    made = [client.copy_part(key, "copied in parts", copied, 1, 1, size), client.copy_part(key, "copied in parts", copied, 2, 0, 99)]
    client.complete("copied in parts", copied, made)
    assert client.get("copied in parts") == whole[1:size + 1] + whole[:100]

    small = client.begin("small")
    made = [client.put_part("small", small, number, b"too little") for number in [1, 2]]
    refused(client, (400, "EntityTooSmall"), lambda: client.complete("small", small, made))
    client.put_part("small", small, 1, b"another")
    refused(client, (400, "InvalidPart"), lambda: client.complete("small", small, made))
    client.abort("small", small)
    refused(client, (404, "NoSuchUpload"), lambda: client.put_part("small", small, 1, b"late"))
    assert client.uploads() == []


def run(client, quirks):
    objects(client, "s3" in quirks)
    conditions(client, quirks)
    keys(client, quirks)
    listing(client, quirks)
    parts(client, quirks)
