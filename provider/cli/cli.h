#pragma once

/* Subcommands of the binary run by hand; argv[0] is the subcommand. They return the exit status. */

/* sources [--file DOCKERFILE] [--target NAME] [--build-arg K=V]… [--build-context NAME=DIR]… [--platform P]…
 * [--ignore PATTERN]… [--json] DIR: which files make the source hash, and why. */
int cli_sources(int argc, char **argv);
