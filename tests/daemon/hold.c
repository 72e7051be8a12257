/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hold PID: stop the main thread of a process and nothing else of it, print "held", and let it go
 * on when stdin ends.  As if it waited for a disk which does not answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	return 99;
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 2 ? (pid_t)atoi(argv[1]) : 0;
	char byte;

	if (pid <= 0)
		return 99;
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		return fail("ptrace");
	if (waitpid(pid, NULL, __WALL) != pid)
		return fail("waitpid");
	printf("held\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return ptrace(PTRACE_DETACH, pid, NULL, NULL) ? fail("detach") : 0;
}
