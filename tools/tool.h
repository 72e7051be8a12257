/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tools share: exit statuses, options which only print, and messages. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <stdbool.h>

#include "daemons/options.h"

/* Exit statuses. */
enum {
	TOOL_OK = 0,
	TOOL_FAILED = 1,		/* the back-end does not do what it should */
	TOOL_USAGE = 2,
	TOOL_BROKEN = 3,		/* there is none, or it does not answer */
};

/* Begin: name is the program's in messages. */
void tool_begin(const char *name);

/* One line on standard error, which begins with the program's name. */
void tool_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * --help and --version, wherever they stand before an argument "--".  Whether there was one of
 * them; then the exit status is set.
 */
bool tool_act(int argc, char **argv, void (*help)(void), int *status);

/* Flush what was printed: status, or TOOL_FAILED if that cannot be written. */
int tool_end(int status);

/* The last two rows of a table of options. */
#define TOOL_OPTIONS \
	{ "help", OPTION_ACTION, .help = "print this help, and exit" }, \
	{ "version", OPTION_ACTION, .help = "print the version, and exit" }

#endif /* TOOLS_TOOL_H */
