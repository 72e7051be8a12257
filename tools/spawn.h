/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A back-end which is started for a while.
 *
 * It runs in a process group of its own, with a socket and a log in a folder of its own, and on
 * the CPUs it is given.  Its standard input is a pipe which is open as long as it shall run, since
 * some end when theirs ends.
 */
#ifndef TOOLS_SPAWN_H
#define TOOLS_SPAWN_H

#include <sched.h>
#include <sys/types.h>

#define SPAWN_PATH_SIZE 64

struct spawn {
	char dir[SPAWN_PATH_SIZE];	/* "": there is none */
	char socket[SPAWN_PATH_SIZE + 8], log[SPAWN_PATH_SIZE + 8];
	pid_t pid;			/* 0: it does not run */
	int stdin_fd;
};

/* Run the command, in which {} stands for the socket.  A negative errno: it cannot be run. */
int spawn_start(struct spawn *s, char *const *argv, const cpu_set_t *cpus);

/* Whether it still runs; if not, how it ended goes to why. */
bool spawn_alive(struct spawn *s, char *why, size_t size);

/* End it, and take its folder away. */
void spawn_stop(struct spawn *s);

/* The last line of its log, for messages: "" if there is none. */
void spawn_last_words(const struct spawn *s, char *text, size_t size);

/* Whether {} stands anywhere in the command. */
bool spawn_has_socket(char *const *argv);

#endif /* TOOLS_SPAWN_H */
