/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a device, through a pipe into a buffer and back. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "frontend/conn.h"
#include "frontend/deadline.h"
#include "frontend/fe_migrate.h"

#define STATE_STEP	65536u		/* bytes which the buffer grows by */

/* Read until the end.  The back-end writes when it likes. */
static int state_read(int fd, uint8_t **buf, size_t *len, int64_t deadline)
{
	size_t room = 0;
	ssize_t n = 1;
	int err = 0;

	*buf = NULL;
	*len = 0;
	while (n && !err) {
		if (*len == room) {
			uint8_t *more = realloc(*buf, room += STATE_STEP);

			if (!more || room > FE_STATE_MAX)
				err = more ? -EFBIG : -ENOMEM;
			*buf = more ? more : *buf;
			if (err)
				break;
		}
		err = fe_conn_poll(fd, POLLIN, deadline);
		if (err)
			break;
		n = read(fd, *buf + *len, room - *len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			err = -errno;
		*len += n > 0 ? (size_t)n : 0;
	}
	if (err) {
		free(*buf);
		*buf = NULL;
	}
	return err;
}

/* Write it all.  A back-end which has enough of it closes its end: -EIO. */
static int state_write(int fd, const uint8_t *buf, size_t len, int64_t deadline)
{
	ssize_t n;
	int err;

	while (len) {
		err = fe_conn_poll(fd, POLLOUT, deadline);
		if (err)
			return err;
		n = write(fd, buf, len);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return errno == EPIPE ? -EIO : -errno;
		buf += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Announce the transfer and return our end of it: of a pipe, or what the back-end wants instead. */
static int state_open(struct fe *fe, uint32_t direction)
{
	int fds[2], other, err, ours = direction == VU_TRANSFER_SAVE ? 0 : 1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	err = fe_set_device_state_fd(fe, direction, VU_TRANSFER_STOPPED, fds[!ours], &other);
	close(fds[!ours]);
	if (!err && other < 0)
		other = fds[ours];
	else
		close(fds[ours]);
	/* Only our end: the two have flags of their own. */
	if (!err && fcntl(other, F_SETFL, fcntl(other, F_GETFL) | O_NONBLOCK) < 0) {
		err = -errno;
		close(other);
	}
	return err ? err : other;
}

int fe_state_save(struct fe *fe, void **buf, size_t *len)
{
	uint8_t *bytes;
	int fd = state_open(fe, VU_TRANSFER_SAVE), err;

	if (fd < 0)
		return fd;
	err = state_read(fd, &bytes, len, fe_deadline(fe->timeout_ms));
	close(fd);
	if (err)
		return err;
	err = fe_check_device_state(fe);
	if (err)
		free(bytes);
	else
		*buf = bytes;
	return err;
}

int fe_state_load(struct fe *fe, const void *buf, size_t len)
{
	int fd = state_open(fe, VU_TRANSFER_LOAD), err, checked;

	if (fd < 0)
		return fd;
	err = state_write(fd, buf, len, fe_deadline(fe->timeout_ms));
	close(fd);
	/* Also after a failure, which the back-end should know of. */
	checked = fe_check_device_state(fe);
	return err ? err : checked;
}
