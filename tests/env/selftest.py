"""Checks of the test environment, from within it; prints TAP. See selftest."""
import base64
import hashlib
import io
import json
import os
import ssl
import subprocess
import sys
import tarfile
import traceback
import urllib.error
import urllib.request

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from base_images import Unix, add

HOST = os.environ["GPUDEV_TEST_ECR_HOST"]
CONTROL = os.environ["GPUDEV_TEST_ECR_CONTROL"]
FAILED = []


def check(what, fine, note=""):
    print(("ok - " if fine else "not ok - ") + what, flush=True)
    if not fine:
        FAILED.append(what)
        print(f"# {note}", flush=True)


def client(service="ecr", profile=None, attempts=1, **more):
    # A profile wins over the environment's keys only when it is named outright.
    session = botocore.session.Session(profile=profile) if profile else botocore.session.get_session()
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, parameter_validation=False)
    return session.create_client(service, config=config, **more)


def refused(call, **arguments):
    """The code of the error that a call gives, or what it gave instead."""
    try:
        return str(call(**arguments))
    except ClientError as error:
        return error.response["Error"]["Code"]


def control(where, **order):
    data = json.dumps(order).encode()
    urllib.request.urlopen(urllib.request.Request(CONTROL + where, data, {"Content-Type": "application/json"})).read()


def seen(query):
    with urllib.request.urlopen(f"{CONTROL}/requests?{query}") as answer:
        return [json.loads(line) for line in answer]


def http(method, path, data=None, token=None, kind="application/octet-stream", **headers):
    """Asks the data plane; returns status, headers, body."""
    url = path if path.startswith("https:") else f"https://{HOST}{path}"
    request = urllib.request.Request(url, data, {"Content-Type": kind} | headers, method=method)
    if token:
        request.add_unredirected_header("Authorization", "Basic " + token)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def authorization(ecr):
    return ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]


# --- the control plane ---------------------------------------------------------------


def check_api():
    ecr = client()
    ecr.create_repository(repositoryName="self/api")
    check("a repository is created once", refused(ecr.create_repository, repositoryName="self/api") == "RepositoryAlreadyExistsException")
    for profile, code in {"denied": "AccessDeniedException", "puller": "AccessDeniedException", "expired": "ExpiredTokenException"}.items():
        got = refused(client(profile=profile).create_repository, repositoryName="self/x")
        check(f"the profile {profile} gets {code}", got == code, got)
    check("the profile session may", "repositories" in refused(client(profile="session").describe_repositories))
    wrong = {"aws_access_key_id": "AKIATESTADMIN0000001", "aws_secret_access_key": "wrong"}
    check("a wrong secret is seen", refused(client(**wrong).describe_repositories) == "InvalidSignatureException")
    check("STS refuses it by its own name", refused(client("sts", **wrong).get_caller_identity) == "SignatureDoesNotMatch")
    nobody = {"aws_access_key_id": "AKIANOBODY", "aws_secret_access_key": "wrong"}
    check("an unknown key is seen", refused(client(**nobody).describe_repositories) == "UnrecognizedClientException")
    control("/clock", offset=400)
    check("a clock that is off is seen", refused(ecr.describe_repositories) == "InvalidSignatureException")
    control("/clock", offset=0)
    role = client("sts").assume_role(RoleArn="arn:aws:iam::210987654321:role/x", RoleSessionName="self")["Credentials"]
    assumed = client(aws_access_key_id=role["AccessKeyId"], aws_secret_access_key=role["SecretAccessKey"], aws_session_token=role["SessionToken"])
    check("an assumed role works, in its own account", assumed.describe_repositories()["repositories"] == [])
    check("lifecycle rules are checked", refused(ecr.put_lifecycle_policy, repositoryName="self/api", lifecyclePolicyText=lifecycle(1, 1)) == "InvalidParameterException")
    ecr.put_lifecycle_policy(repositoryName="self/api", lifecyclePolicyText=lifecycle(1, 2))
    pages = [page["repositories"] for page in ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1})]
    check("repositories come in pages", len(pages) >= 2 and all(len(page) == 1 for page in pages), pages)


def lifecycle(*priorities):
    return json.dumps({"rules": [
        {"rulePriority": n, "description": "a rule of the test of the test environment",
         "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 10},
         "action": {"type": "expire"}} for n in priorities]})


def check_faults():
    ecr = client(attempts=3)
    control("/faults", op="^DescribeRepositories$", times=2, action="status", status=400, code="ThrottlingException", body="Rate exceeded")
    ecr.describe_repositories()
    tries = [(one["status"], one.get("fault")) for one in seen("op=DescribeRepositories")][-3:]
    check("a fault strikes as often as it says", tries == [(400, "status"), (400, "status"), (200, None)], tries)
    control("/faults", path="^/v2/$", times=1, action="eof")
    try:
        http("GET", "/v2/")
        check("a connection is cut", False)
    except (urllib.error.URLError, ConnectionError):
        check("a connection is cut", True)


# --- the data plane -------------------------------------------------------------------


def put_blob(repository, data, token):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    status, headers, _ = http("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from=self/x", b"", token)
    place = headers["Location"]
    patched, headers, _ = http("PATCH", f"https://{HOST}{place}", data, token)
    place = headers["Location"]
    put, _, _ = http("PUT", f"https://{HOST}{place}&digest={digest}", b"", token)
    check("a blob goes up: mount 202, PATCH 201, PUT 201", (status, patched, put) == (202, 201, 201), (status, patched, put))
    return digest


def manifest(config, layer, note):
    oci = "application/vnd.oci.image."
    return json.dumps({"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "annotations": {"note": note},
                       "config": {"mediaType": oci + "config.v1+json", "digest": config, "size": 2},
                       "layers": [{"mediaType": oci + "layer.v1.tar+gzip", "digest": layer, "size": 1000}]}).encode()


def check_data_plane():
    ecr, kind = client(), "application/vnd.oci.image.manifest.v1+json"
    ecr.create_repository(repositoryName="self/data")
    token = authorization(ecr)
    status, headers, body = http("GET", "/v2/")
    check("without a password: 401 in plain text, Basic", status == 401 and b"{" not in body and headers["WWW-Authenticate"].startswith("Basic"))
    check("with one: 200", http("GET", "/v2/", token=token)[0] == 200)
    status, _, body = http("POST", "/v2/self/none/blobs/uploads/", b"", token)
    check("a repository that isn't there: NAME_UNKNOWN", status == 404 and b"NAME_UNKNOWN" in body, body)
    layer, config = put_blob("self/data", os.urandom(1000), token), put_blob("self/data", b"{}", token)
    one, two = manifest(config, layer, "one"), manifest(config, layer, "two")
    check("a manifest without its layer is refused", http("PUT", "/v2/self/data/manifests/bad", manifest(config, "sha256:" + "0" * 64, ""), token, kind)[0] == 400)
    _, headers, _ = http("PUT", "/v2/self/data/manifests/latest", one, token, kind)
    digest = "sha256:" + hashlib.sha256(one).hexdigest()
    check("a manifest is taken", headers["Docker-Content-Digest"] == digest)
    http("PUT", "/v2/self/data/manifests/latest", two, token, kind)
    details = {d["imageDigest"]: d.get("imageTags") for d in ecr.describe_images(repositoryName="self/data")["imageDetails"]}
    check("a moved tag leaves the old image without one", details[digest] is None and len(details) == 2, details)
    _, headers, body = http("GET", "/v2/self/data/manifests/latest", token=token, Accept="application/vnd.docker.distribution.manifest.v2+json")
    check("another media type by tag: rewritten", "sha256:" + hashlib.sha256(body).hexdigest() == headers["Docker-Content-Digest"] != digest)
    with urllib.request.urlopen(os.environ["GPUDEV_TEST_ECR_DATA"] + "/v2/self/data/manifests/" + digest) as answer:
        check("the control endpoint shows it without a password", answer.read() == one)
    check("a blob comes by a redirect", len(http("GET", f"/v2/self/data/blobs/{layer}", token=token)[2]) == 1000)
    ecr.put_image_tag_mutability(repositoryName="self/data", imageTagMutability="IMMUTABLE")
    status, _, body = http("PUT", "/v2/self/data/manifests/latest", one, token, kind)
    check("an immutable tag stays", status == 400 and b"TAG_INVALID" in body, body)
    check("but for the same digest", http("PUT", "/v2/self/data/manifests/latest", two, token, kind)[0] == 201)
    check("the API says so too", refused(ecr.put_image, repositoryName="self/data", imageManifest=one.decode(), imageTag="latest") == "ImageTagAlreadyExistsException")
    check("a full repository isn't deleted", refused(ecr.delete_repository, repositoryName="self/data") == "RepositoryNotEmptyException")
    gone = ecr.batch_delete_image(repositoryName="self/data", imageIds=[{"imageTag": "latest"}, {"imageTag": "none"}])
    check("the last tag takes the image along", len(gone["imageIds"]) == 1 and gone["failures"][0]["failureCode"] == "ImageNotFound"
          and http("HEAD", "/v2/self/data/manifests/latest", token=token)[0] == 404, gone)
    check("a puller can't push", http("POST", "/v2/self/data/blobs/uploads/", b"", authorization(client(profile="puller")))[0] == 403)
    control("/tokens", seconds=-1)
    check("a password ends", http("GET", "/v2/", token=authorization(ecr))[0] == 403)
    control("/tokens", seconds=43200)


# --- engines ---------------------------------------------------------------------------


def engine_call(engine, method, path, data=b"", **headers):
    """Returns the JSON lines of the answer."""
    connection = Unix(engine.removeprefix("unix://"))
    connection.request(method, path, data, {"Content-Type": "application/x-tar"} | {k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    lines = [json.loads(line) for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "errorDetail" in line or answer.status >= 400]
    if errors:
        raise RuntimeError(f"{method} {path}: {answer.status} {errors}")
    return lines


def context(name):
    out = io.BytesIO()
    dockerfile = f"FROM {HOST}/base/busybox:1\nCOPY file /file\nRUN cat /file >/copy && ip address >/network && test -x /bin/sh\n"
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "Dockerfile", 0o644, data=dockerfile.encode())
        add(tar, "file", 0o644, data=name.encode())
    return out.getvalue()


def check_engine(name, engine):
    ecr, repository = client(), f"self/{name.lower()}"
    user, password = base64.b64decode(authorization(ecr)).decode().split(":", 1)
    auth = {"username": user, "password": password, "serveraddress": HOST}
    encoded = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
    hosts = base64.urlsafe_b64encode(json.dumps({HOST: auth}).encode()).decode()
    ecr.create_repository(repositoryName=repository)
    image = f"{HOST}/{repository}"
    engine_call(engine, "POST", f"/build?t={image}:v1&pull=1", context(name), X_Registry_Config=hosts)
    check(f"{name} builds, pulls its base image and runs a step", True)
    lines = engine_call(engine, "POST", f"/images/{image}/push?tag=v1", X_Registry_Auth=encoded)
    pushed = [line["aux"]["Digest"] for line in lines if "Digest" in line.get("aux", {})]
    details = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    _, headers, _ = http("HEAD", f"/v2/{repository}/manifests/v1", token=authorization(ecr), Accept=accept)
    digests = {details["imageDigest"], headers["Docker-Content-Digest"], *pushed}
    check(f"{name} pushes, and all agree on the digest", len(digests) == 1, digests)
    puts = seen(f"op=PutManifest&path=/{repository}/")
    check(f"{name}'s push was seen", len(puts) >= 1 and puts[-1]["status"] == 201, puts)


def check_buildkit(folder):
    """An index (image and attestation), pushed by BuildKit itself, asked by TLS."""
    ecr, image = client(), f"{HOST}/self/buildkit"
    ecr.create_repository(repositoryName="self/buildkit")
    os.makedirs(folder + "/.docker", exist_ok=True)
    with open(folder + "/.docker/config.json", "w") as file:
        json.dump({"auths": {HOST: {"auth": authorization(ecr)}}}, file)
    with open(folder + "/Dockerfile", "w") as file:
        file.write(f"FROM {HOST}/base/busybox:1\nRUN date >/built\n")
    certificates = os.environ["GPUDEV_TEST_CERTS"]
    run = subprocess.run(
        [os.environ["GPUDEV_TEST_BUILDCTL"], "--addr", os.environ["GPUDEV_TEST_BUILDKIT_TCP"], "--tlscacert", certificates + "/ca.pem",
         "--tlscert", certificates + "/cert.pem", "--tlskey", certificates + "/key.pem", "build", "--frontend", "dockerfile.v0",
         "--local", f"context={folder}", "--local", f"dockerfile={folder}", "--opt", "attest:provenance=mode=min",
         "--output", f"type=image,name={image}:1,push=true"],
        capture_output=True, text=True, env=os.environ | {"HOME": folder})
    check("BuildKit builds and pushes, asked by TLS", run.returncode == 0, run.stderr[-2000:].replace("\n", "\n# "))
    details = ecr.describe_images(repositoryName="self/buildkit")["imageDetails"]
    index = [one for one in details if one.get("imageTags") == ["1"]]
    check("an index and what it refers to are there", len(details) == 3 and "index" in index[0]["imageManifestMediaType"], details)
    child = next(one["imageDigest"] for one in details if one is not index[0])
    failures = ecr.batch_delete_image(repositoryName="self/buildkit", imageIds=[{"imageDigest": child}])["failures"]
    check("what an index refers to isn't deleted", [one["failureCode"] for one in failures] == ["ImageReferencedByManifestList"], failures)


def check_tcp(name, address):
    """An engine's TCP port wants a client certificate."""
    certificates = os.environ["GPUDEV_TEST_CERTS"]
    url = address.replace("tcp:", "https:") + "/version"
    trust = ssl.create_default_context(cafile=certificates + "/ca.pem")
    try:
        urllib.request.urlopen(url, context=trust).read()
        check(f"{name} wants a certificate", False)
    except OSError:
        check(f"{name} wants a certificate", True)
    trust.load_cert_chain(certificates + "/cert.pem", certificates + "/key.pem")
    check(f"{name} answers by TLS", b"ApiVersion" in urllib.request.urlopen(url, context=trust).read())


def main():
    jobs = [("api", check_api, ()), ("faults", check_faults, ()), ("data plane", check_data_plane, ())]
    for name, value in sorted(os.environ.items()):
        name = name.removeprefix("GPUDEV_TEST_")
        if name.startswith("ENGINE"):
            jobs.append((name, check_tcp if name.endswith("_TCP") else check_engine, (name, value)))
    if "GPUDEV_TEST_BUILDKIT" in os.environ:
        jobs.append(("buildkit", check_buildkit, (os.environ["GPUDEV_TEST_DIR"] + "/selftest",)))
    for name, job, arguments in jobs:
        try:
            job(*arguments)
        except Exception:
            check(name, False, traceback.format_exc().replace("\n", "\n# "))
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
