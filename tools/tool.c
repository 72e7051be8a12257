/* SPDX-License-Identifier: BSD-3-Clause */
/* See tool.h. */
#include "config.h"

#include "tools/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemons/internal.h"

static const char *tool_name;

void tool_begin(const char *name)
{
	tool_name = name;
	daemon_log_open(name);
}

void tool_err(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	daemon_err("%s", text);
}

static int tool_flush(const char *what)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	tool_err("%s: %s", what, strerror(errno));
	return -EIO;
}

int tool_end(int status)
{
	return tool_flush("standard output") ? TOOL_FAILED : status;
}

bool tool_act(int argc, char **argv, void (*help)(void), int *status)
{
	int n;

	/* What follows belongs to others. */
	for (n = 0; n < argc && strcmp(argv[n], "--"); n++)
		;
	if (options_asked(n, argv, "help"))
		help();
	else if (options_asked(n, argv, "version"))
		printf("%s %s\n", tool_name, PACKAGE_VERSION);
	else
		return false;
	*status = tool_flush("--help") ? TOOL_FAILED : TOOL_OK;
	return true;
}
