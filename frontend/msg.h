/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the front-end: what the messages share. */
#ifndef FRONTEND_MSG_H
#define FRONTEND_MSG_H

#include "frontend/conn.h"

/* A reply has exactly these flags; an echoed NEED_REPLY ends QEMU's connection. */
#define FE_REPLY_FLAGS	(VU_VERSION | VU_REPLY)

/* The reply must have this size and no fds. */
int fe_msg_check_plain(struct fe_msg *reply, size_t size);

/* A request which always asks for its answer, as QEMU does: a u64, 0 if all is well. */
int fe_msg_demand(struct fe *fe, uint32_t request, const void *payload, uint32_t size);

/* A request without payload which is answered with a u64. */
int fe_msg_query_u64(struct fe *fe, uint32_t request, uint64_t *value);

/* A request without a reply of its own whose payload is a u64. */
int fe_msg_set_u64(struct fe *fe, uint32_t request, uint64_t value);

#endif /* FRONTEND_MSG_H */
