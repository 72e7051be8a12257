/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The back-end channel: all requests which a back-end can send, checked, and their answers.
 *
 * fe_set_backend_req_fd() makes the channel.  Nothing reads from it unless the test does, so a test
 * decides when a request is seen and when it is answered, if ever.
 */
#ifndef FRONTEND_FE_BACKEND_H
#define FRONTEND_FE_BACKEND_H

#include "frontend/frontend.h"

/*
 * The next request.  As fe_backend_recv(), and -EPROTO also if it is not one of enum
 * vu_backend_request with the size, the fds and the fields which the protocol wants.  The payload
 * is in msg->u, fds belong to the caller.
 */
int fe_backend_receive(struct fe *fe, struct fe_msg *msg, int timeout_ms);

/* The same, and -EPROTO if it is another request than this. */
int fe_backend_expect(struct fe *fe, uint32_t request, struct fe_msg *msg, int timeout_ms);

/* Whether the request waits for an answer: it asks for one, or always has one. */
bool fe_backend_wants_reply(const struct fe_msg *msg);

/*
 * Answer, asked or not.  SHARED_OBJECT_LOOKUP wants value 0 and the object's fd, which stays the
 * caller's, or another value and fd -1; all others fd -1.
 */
int fe_backend_reply_fd(struct fe *fe, const struct fe_msg *msg, uint64_t value, int fd);

#endif /* FRONTEND_FE_BACKEND_H */
