"""Makes the base image of the tests' Dockerfiles from scratch: Debian's static
busybox with its links, no package and no network. It goes

  to the local ECR as base/busybox:1 (the repository is created), when it runs,
  to the plain registry beside it as base/busybox:1, and
  into the engines that run, under both names and as busybox:1.

The image has the same digest each time. `base-images DIR` runs this within the
run's namespaces.
"""
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request

REPOSITORY, TAG = "base/busybox", "1"
OCI = "application/vnd.oci.image."


def add(tar, name, mode, data=None, link=None):
    """Adds a file, a link or else a folder to the layer."""
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if data is not None:
        entry.size = len(data)
    elif link is not None:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    else:
        entry.type = tarfile.DIRTYPE
    tar.addfile(entry, None if data is None else io.BytesIO(data))


def layer(busybox):
    with open(busybox, "rb") as file:
        program = file.read()
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("bin", "dev", "etc", "proc", "root", "sys", "usr", "usr/bin", "var"):
            add(tar, folder, 0o755)
        add(tar, "tmp", 0o1777)
        add(tar, "bin/busybox", 0o755, data=program)
        for applet in sorted(set(applets) - {"busybox"}):
            add(tar, "bin/" + applet, 0o777, link="busybox")
        add(tar, "usr/bin/env", 0o777, link="/bin/busybox")
        add(tar, "etc/passwd", 0o644, data=b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        add(tar, "etc/group", 0o644, data=b"root:x:0:\nnogroup:x:65534:\n")
    return out.getvalue()


class Image:
    """An image of one layer: its blobs and its manifest."""

    def __init__(self, tar):
        packed = gzip.compress(tar, 6, mtime=0)
        arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        config = json.dumps({
            "architecture": arch, "os": "linux", "created": "2000-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/bin:/usr/bin"], "Cmd": ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
            "history": [{"created": "2000-01-01T00:00:00Z", "created_by": "tests/env/base-images"}],
        }).encode()
        self.tar, self.blobs = tar, {}
        self.config, self.layer = self.blob(config), self.blob(packed)
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
            "config": self.descriptor(self.config, "config.v1+json"),
            "layers": [self.descriptor(self.layer, "layer.v1.tar+gzip")],
        }).encode()
        self.digest = digest(self.manifest)

    def blob(self, data):
        self.blobs[digest(data)] = data
        return digest(data)

    def descriptor(self, name, kind):
        return {"mediaType": OCI + kind, "digest": name, "size": len(self.blobs[name])}

    def archive(self, names):
        """The form of `docker save`, for both old and new engines."""
        out = io.BytesIO()
        hexes = {name: name.removeprefix("sha256:") for name in (self.config, self.layer, self.digest)}
        manifest = {"mediaType": OCI + "manifest.v1+json", "digest": self.digest, "size": len(self.manifest)}
        index = {"schemaVersion": 2, "manifests": [
            manifest | {"annotations": {"io.containerd.image.name": name,
                                        "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}} for name in names]}
        legacy = [{"Config": "blobs/sha256/" + hexes[self.config], "RepoTags": names,
                   "Layers": ["blobs/sha256/" + hexes[self.layer]]}]
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            add(tar, "oci-layout", 0o644, data=b'{"imageLayoutVersion": "1.0.0"}')
            add(tar, "index.json", 0o644, data=json.dumps(index).encode())
            add(tar, "manifest.json", 0o644, data=json.dumps(legacy).encode())
            for name, data in (self.blobs | {self.digest: self.manifest}).items():
                add(tar, "blobs/sha256/" + name.removeprefix("sha256:"), 0o644, data=data)
        return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- registries ------------------------------------------------------------------


def request(method, url, data=None, kind="application/octet-stream", auth=None, fine=()):
    """Returns the answer's headers; a status that is in `fine` gives None."""
    headers = {"Content-Type": kind} | ({"Authorization": auth} if auth else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
            return answer.headers
    except urllib.error.HTTPError as error:
        if error.code in fine:
            return None
        sys.exit(f"base-images: {method} {url}: {error.code} {error.read().decode(errors='replace')}")


def push(image, base, auth=None):
    root = f"{base}/v2/{REPOSITORY}"
    for name, data in image.blobs.items():
        if request("HEAD", f"{root}/blobs/{name}", auth=auth, fine=(404,)):
            continue
        place = urllib.parse.urljoin(root, request("POST", f"{root}/blobs/uploads/", b"", auth=auth)["Location"])
        request("PUT", f"{place}{'&' if '?' in place else '?'}digest={name}", data, auth=auth)
    request("PUT", f"{root}/manifests/{TAG}", image.manifest, OCI + "manifest.v1+json", auth=auth)


def ecr_auth():
    """Creates the repository, and returns the header that registry requests want."""
    import botocore.exceptions
    import botocore.session

    ecr = botocore.session.get_session().create_client("ecr")
    try:
        ecr.create_repository(repositoryName=REPOSITORY)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        pass
    return "Basic " + ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]


# --- engines -----------------------------------------------------------------------


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def load(archive, engine):
    connection = Unix(engine.removeprefix("unix://"))
    connection.request("POST", "/images/load?quiet=1", archive, {"Content-Type": "application/x-tar"})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    if answer.status != 200 or "errorDetail" in text:
        sys.exit(f"base-images: {engine}: {answer.status} {text}")


def main():
    image = Image(layer(sys.argv[1]))
    names = ["busybox:" + TAG]
    if host := os.environ.get("GPUDEV_TEST_ECR_HOST"):
        push(image, "https://" + host, ecr_auth())
        names.append(f"{host}/{REPOSITORY}:{TAG}")
    if host := os.environ.get("GPUDEV_TEST_REGISTRY"):
        push(image, "http://" + host)
        names.append(f"{host}/{REPOSITORY}:{TAG}")
    archive = image.archive(names)
    for name, engine in sorted(os.environ.items()):
        if name.startswith("GPUDEV_TEST_ENGINE") and engine.startswith("unix:"):
            load(archive, engine)
    print(f"{names[-1]}@{image.digest}")


if __name__ == "__main__":
    main()
