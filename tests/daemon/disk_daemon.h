/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vhost-user-blk with its sockets, its driver, and clients of these sockets, for tests of one
 * process each.  Beside the driver there may be a load which verifies what it reads, on a queue and
 * a thread of its own.
 */
#ifndef TESTS_DAEMON_DISK_DAEMON_H
#define TESTS_DAEMON_DISK_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "frontend/fe_blk.h"

#define DATA_SIZE 4096u
#define TIMEOUT_MS 60000

#define LOAD_BLOCKS 256			/* of DATA_SIZE */

struct disk_load {
	pthread_t thread;
	atomic_bool stop;
	atomic_uint ops;
	/* the thread's */
	unsigned int version[LOAD_BLOCKS];	/* what is on the disk; 0: nothing of ours */
	int wrong;			/* block + 1 which was not as written, or a negative errno */
};

struct disk_daemon {
	/* to be set before disk_up() */
	const char *timeout_option;	/* NULL: that of 30 seconds */
	bool loaded;			/* with such a load */

	char dir[64], socket[80], control[80], metrics[80], image[80];
	pid_t pid;
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring[2], *list[2];
	struct fe_blk blk[2];		/* the driver's, the load's */
	struct disk_load load;
};

extern struct disk_daemon test;

/* The daemon runs, with so many threads, and its driver has set up the disk. */
void disk_up(unsigned int threads);
/* To connect once more. */
void disk_connect(void);
/* The driver is served. */
void disk_works(void);
/* And what was loaded was served, and the process ends in order. */
void disk_down(void);

/* A client of the socket at path. */
int client(const char *path);
/* As much of it as the other end takes; it may have closed. */
void say(int fd, const char *text, size_t len);
/* One line into answer; false: the other end has closed. */
bool hear(int fd);
/* A line with this text in it. */
void expect(int fd, const char *text);
extern char answer[4 << 20];

#endif /* TESTS_DAEMON_DISK_DAEMON_H */
