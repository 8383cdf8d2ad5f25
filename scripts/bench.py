"""The benchmark proper; see scripts/bench. Whole processes are timed: wall clock, and CPU by wait4."""
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

RUNS = int(os.environ["RUNS"])
TOFU, PROVIDER, NOOP = (os.environ[k] for k in ("BENCH_TOFU", "BENCH_PROVIDER", "BENCH_NOOP"))
HOST = "123456789012.dkr.ecr.us-east-2.amazonaws.com"
BASE = os.environ["GPUDEV_TEST_BASE_IMAGE"]
work = pathlib.Path(tempfile.mkdtemp(prefix="gpudev-bench."))


def environment(where):
    home = where / "home"
    home.mkdir(parents=True, exist_ok=True)
    (where / "bin").mkdir(exist_ok=True)
    link = where / "bin" / "terraform-provider-gpudev"
    if not link.exists():
        link.symlink_to(PROVIDER)
    (where / "tofurc").write_text(
        'provider_installation {\n  dev_overrides { "gpudev/gpudev" = "%s" }\n  filesystem_mirror { path = "%s" }\n}\n'
        % (where / "bin", where / "none"))
    return dict(os.environ, HOME=str(home), XDG_CACHE_HOME=str(home / ".cache"), XDG_STATE_HOME=str(home / ".state"),
                TF_CLI_CONFIG_FILE=str(where / "tofurc"), TF_PLUGIN_CACHE_DIR="", CHECKPOINT_DISABLE="1", NO_COLOR="1",
                DOCKER_CONFIG=str(home / ".docker"), DOCKER_BUILDKIT="1")


def run(command, env, cwd):
    """Wall and CPU seconds of a command with all that it waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    done = subprocess.run(command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit("%s failed:\n%s" % (command, done.stdout[-3000:]))
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def pair(title, ours, theirs, before=lambda: None, runs=RUNS):
    """Each side is (name, function that returns (wall, cpu, …)); they take turns after one uncounted run each."""
    print("\n%s" % title)
    sides = [(ours, []), (theirs, [])]
    for i in range(runs + 1):
        for (name, call), results in sides:
            before()
            result = call()
            if i:
                results.append(result[:2])
    medians = []
    for (name, _), results in sides:
        wall, cpu = (statistics.median(r[k] for r in results) for k in (0, 1))
        medians.append((wall, cpu))
        print("  %-58s wall %8.3f s   cpu %8.3f s" % (name, wall, cpu))
    print("  ratio: wall %.3f, cpu %.3f" % tuple(medians[0][k] / medians[1][k] for k in (0, 1)))


def tree(where, services, files, size, unread):
    for s in range(services):
        folder = where / ("svc-%d" % s)
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text("FROM %s\nCOPY svc-%d/ /app/\nCOPY shared/ /shared/\n" % (BASE, s))
        for f in range(files):
            (folder / ("f%d" % f)).write_bytes(os.urandom(size // 2) * 2)
    (where / "shared").mkdir()
    (where / "shared" / "lib").write_text("1\n")
    (where / "unread").mkdir()
    for f in range(unread):
        (where / "unread" / ("u%d" % f)).write_bytes(b"x" * size)


def images(services):
    text = 'terraform {\n  required_providers { gpudev = { source = "gpudev/gpudev" } }\n}\nprovider "gpudev" { region = "us-east-2" }\n'
    for s in range(services):
        text += ('resource "gpudev_image" "s%d" {\n  repository = "bench-%d-%d"\n  context = "%s"\n  dockerfile = "svc-%d/Dockerfile"\n'
                 '  ignore = ["unread"]\n}\n' % (s, os.getpid(), s, work / "src", s))
    return text


def hand_written(services):
    return "".join(
        'resource "terraform_data" "s%d" {\n  input = sha1(join("", [for f in sort(fileset("%s", "{svc-%d,shared}/**")) : filesha256("%s/${f}")]))\n}\n'
        % (s, work / "src", s, work / "src") for s in range(services))


def stack(name, text):
    where = work / name
    (where / "tf").mkdir(parents=True)
    (where / "tf" / "main.tf").write_text(text)
    env = environment(where)

    def tofu(*arguments):
        return run([TOFU, *arguments, "-input=false"], env, where / "tf")
    return tofu, env


def docker(env, *arguments):
    binary = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
    return run([binary, *arguments], env, work)


def plan_and_apply():
    services, files = int(os.environ.get("SERVICES", 10)), int(os.environ.get("FILES", 500))
    tree(work / "src", services, files, 20000, files)
    ours, _ = stack("ours", images(services))
    theirs, _ = stack("theirs", hand_written(services))
    ours("apply", "-auto-approve")
    theirs("apply", "-auto-approve")
    pair("No-op plan: %d images of %d files of 20 kB" % (services, files), ("tofu plan, gpudev_image", lambda: ours("plan")),
         ("tofu plan, terraform_data with fileset + filesha256", lambda: theirs("plan")))

    one = 'resource "gpudev_image" "s0"'
    text = images(1)
    assert one in text
    ours1, env = stack("one", text)
    password = subprocess.run(["tests/acc/aws", "ecr", "get-login-password", "--region", "us-east-2"], check=True,
                              stdout=subprocess.PIPE).stdout
    subprocess.run(["docker", "login", "-u", "AWS", "--password-stdin", HOST], input=password, env=env, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    ours1("apply", "-auto-approve")
    tag = "%s/bench-%d-0:peer" % (HOST, os.getpid())
    count = [0]

    def edit():
        count[0] += 1
        (work / "src" / "svc-0" / "f0").write_text("edit %d\n" % count[0])

    def build_and_push():
        a = docker(env, "build", "-q", "-t", tag, "-f", str(work / "src/svc-0/Dockerfile"), str(work / "src"))
        b = docker(env, "push", "-q", tag)
        return a[0] + b[0], a[1] + b[1]

    pair("One file changed: build and push (%d files of 20 kB in the image, as many that it doesn't read)" % files,
         ("tofu apply, gpudev_image", lambda: ours1("apply", "-auto-approve")),
         ("docker build && docker push (BuildKit)", build_and_push), before=edit)


try:
    subprocess.run(["python3", "scripts/handshake-time", PROVIDER, NOOP], check=True)
    plan_and_apply()
finally:
    shutil.rmtree(work, ignore_errors=True)
