/* SPDX-License-Identifier: BSD-3-Clause */
/* Any operation on a file, by blocking system calls. */
#ifndef STORAGE_SYNC_H
#define STORAGE_SYNC_H

#include <limits.h>

#include "storage/file.h"

/* What one thread needs for it. */
struct sync_scratch {
	char *buf;			/* for copies, aligned for the file */
	struct iovec iov[IOV_MAX];	/* a part of the operation's */
};

int sync_scratch_init(struct sync_scratch *s, const struct file *f);
void sync_scratch_free(struct sync_scratch *s);

/* Do io, which storage.c has checked; 0 or a negative errno.  Any thread. */
int sync_run(struct file *f, struct sync_scratch *s, struct storage_io *io);

#endif /* STORAGE_SYNC_H */
