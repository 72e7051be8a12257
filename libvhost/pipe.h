/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing what the peer has given us, without waiting and without SIGPIPE. */
#ifndef VHOST_PIPE_H
#define VHOST_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether its other end can go away: then a write may raise SIGPIPE. */
bool fd_is_pipe(int fd);

/* As read() and write(), errno included. */
ssize_t pipe_read(int fd, void *buf, size_t len);
ssize_t pipe_write(int fd, const void *buf, size_t len);

#endif /* VHOST_PIPE_H */
