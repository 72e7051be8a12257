/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the front-end: messages on a socket, the connection's or the back-end channel's. */
#ifndef FRONTEND_CONN_H
#define FRONTEND_CONN_H

#include "frontend/frontend.h"

/* Wait until the socket or pipe is ready; the deadline is that of deadline.h. */
int fe_conn_poll(int fd, short events, int64_t deadline);

/* As fe_send_raw() and fe_recv_raw(), with the socket and its deadline. */
int fe_conn_send(int fd, int timeout_ms, const struct vu_header *hdr, const void *payload,
		 size_t len, const int *fds, unsigned int nfds);
int fe_conn_recv(int fd, int timeout_ms, struct fe_msg *msg);

#endif /* FRONTEND_CONN_H */
