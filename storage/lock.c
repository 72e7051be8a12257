/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks on images, by the scheme which QEMU uses, so that QEMU and we keep off each other.
 *
 * Each byte from PERM_BASE on stands for a kind of use, and a read lock on it says that
 * its holder uses the image so.  Each byte from DENY_BASE on stands for the same kind,
 * and a read lock on it says that its holder wants nobody else to.  Everybody takes his
 * locks first and then looks whether others hold the counterparts.  Open file
 * description locks are used: they belong to the open file, not to the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "storage/file.h"

#define PERM_BASE	100
#define DENY_BASE	200

/* Kinds of use. */
#define KIND_READ	0		/* relies on the content */
#define KIND_WRITE	1
#define KIND_RESIZE	3
#define KINDS		4

static int lock_byte(int fd, int cmd, short type, off_t byte, bool *held)
{
	struct flock fl = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
	};

	if (fcntl(fd, cmd, &fl))
		return -errno;
	*held = fl.l_type != F_UNLCK;
	return 0;
}

/* Take the byte; others may hold it too. */
static int lock_take(int fd, off_t byte)
{
	bool held;

	return lock_byte(fd, F_OFD_SETLK, F_RDLCK, byte, &held);
}

/* -EBUSY: somebody else holds the byte. */
static int lock_test(int fd, off_t byte)
{
	bool held = false;
	int err;

	err = lock_byte(fd, F_OFD_GETLK, F_WRLCK, byte, &held);
	if (err)
		return err;
	return held ? -EBUSY : 0;
}

int lock_file(int fd, bool writable)
{
	const unsigned int perm = 1u << KIND_READ | (writable ? 1u << KIND_WRITE : 0);
	const unsigned int deny = 1u << KIND_WRITE | 1u << KIND_RESIZE;
	int i, err = 0;

	for (i = 0; i < KINDS && !err; i++) {
		if (perm & 1u << i)
			err = lock_take(fd, PERM_BASE + i);
		if (!err && deny & 1u << i)
			err = lock_take(fd, DENY_BASE + i);
	}
	for (i = 0; i < KINDS && !err; i++) {
		if (perm & 1u << i)
			err = lock_test(fd, DENY_BASE + i);
		if (!err && deny & 1u << i)
			err = lock_test(fd, PERM_BASE + i);
	}
	if (err == -EAGAIN || err == -EACCES)
		return -EBUSY;
	/* Any other error: this file system has no locks. */
	return err == -EBUSY ? err : 0;
}
