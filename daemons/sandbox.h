/* SPDX-License-Identifier: BSD-3-Clause */
/* What a daemon can do less of than the user who started it; grouped by the file which has it. */
#ifndef DAEMONS_SANDBOX_H
#define DAEMONS_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

enum sandbox_mode { SANDBOX_FULL, SANDBOX_BASIC, SANDBOX_NONE };
enum seccomp_mode { SECCOMP_KILL, SECCOMP_LOG, SECCOMP_OFF };

/* A file which will be opened, or made. */
struct sandbox_file {
	const char *path;		/* the options' */
	enum daemon_access access;
};

/*
 * sandbox.c: the order of it, descriptors, user and capabilities
 */

struct sandbox {
	enum sandbox_mode mode;
	enum seccomp_mode seccomp;
	const char *user, *group;	/* NULL: stay who we are */
	struct sandbox_file *files;	/* what the options name */
	unsigned int num_files;
	uint64_t caps;			/* bit i: capability i is needed for good */
	const unsigned long *ioctls;	/* besides those of all daemons, then 0; may be NULL */
	int *strays;			/* descriptors which were open when we came */
	unsigned int num_strays;
	const char *missing;		/* what this kernel does not have; NULL: nothing */
	int err;			/* of the preparation */
};

/* Before anything has been opened. */
void sandbox_init(struct sandbox *s);
void sandbox_exit(struct sandbox *s);

/* What will be needed.  An error is kept for sandbox_early(). */
void sandbox_need_file(struct sandbox *s, const char *path, enum daemon_access access);
void sandbox_need_cap(struct sandbox *s, unsigned int cap);

/*
 * Before the files are opened, and while there is only one thread; and when all is there.
 * -errno: it cannot be done, which has been logged.
 */
int sandbox_early(struct sandbox *s);
int sandbox_late(struct sandbox *s);

/*
 * landlock.c: which files
 */

/* This thread, and those which it makes, open and make these files and no others. */
int landlock_restrict(const struct sandbox_file *files, unsigned int num);	/* -ENOSYS: cannot */

/* The folder which a file is in, to be freed; NULL: no memory. */
char *sandbox_folder(const char *path);

/*
 * seccomp.c: which system calls
 */

/* All threads make no others, or are heard of if they do. */
int seccomp_restrict(bool log, const unsigned long *ioctls);

#endif /* DAEMONS_SANDBOX_H */
