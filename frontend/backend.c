/* SPDX-License-Identifier: BSD-3-Clause */
/* The back-end channel: requests which come from the back-end, and their answers. */
#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "frontend/msg.h"

int fe_set_backend_req_fd(struct fe *fe)
{
	int fds[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	err = fe_request(fe, VU_SET_BACKEND_REQ_FD, NULL, 0, &fds[1], 1);
	close(fds[1]);
	if (err) {
		close(fds[0]);
		return err;
	}
	if (fe->backend_fd >= 0)
		close(fe->backend_fd);
	fe->backend_fd = fds[0];
	return 0;
}

static int backend_recv(struct fe *fe, struct fe_msg *msg, int timeout_ms)
{
	int err = fe_conn_recv(fe->backend_fd, timeout_ms, msg);

	if (!err && (msg->hdr.flags & ~VU_NEED_REPLY) != VU_VERSION) {
		fe_msg_close(msg);
		err = -EPROTO;
	}
	return err;
}

int fe_backend_recv(struct fe *fe, struct fe_msg *msg)
{
	return backend_recv(fe, msg, fe->timeout_ms);
}

/* What a request must look like. */
struct backend_row {
	uint32_t size;			/* bytes of payload */
	unsigned int fds_min, fds_max;
	bool answered;			/* also without NEED_REPLY */
};

static const struct backend_row backend_rows[] = {
	[VU_BACKEND_IOTLB_MSG] = { .size = sizeof(struct vu_iotlb) },
	[VU_BACKEND_CONFIG_CHANGE_MSG] = { .size = 0 },
	[VU_BACKEND_VRING_HOST_NOTIFIER_MSG] = { .size = sizeof(struct vu_vring_area),
						 .fds_max = 1 },
	[VU_BACKEND_VRING_CALL] = { .size = sizeof(struct vu_vring_state) },
	[VU_BACKEND_VRING_ERR] = { .size = sizeof(struct vu_vring_state) },
	[VU_BACKEND_SHARED_OBJECT_ADD] = { .size = VU_UUID_SIZE },
	[VU_BACKEND_SHARED_OBJECT_REMOVE] = { .size = VU_UUID_SIZE },
	[VU_BACKEND_SHARED_OBJECT_LOOKUP] = { .size = VU_UUID_SIZE, .answered = true },
	[VU_BACKEND_SHMEM_MAP] = { .size = sizeof(struct vu_mmap), .fds_min = 1, .fds_max = 1 },
	[VU_BACKEND_SHMEM_UNMAP] = { .size = sizeof(struct vu_mmap) },
};

#define BACKEND_ROWS	(sizeof(backend_rows) / sizeof(backend_rows[0]))

/* What the size and the number of fds do not say. */
static bool backend_fields_are_sound(const struct fe_msg *msg)
{
	bool no_fd;

	switch (msg->hdr.request) {
	case VU_BACKEND_IOTLB_MSG:
		return msg->u.iotlb.type == VU_IOTLB_MISS ||
		       msg->u.iotlb.type == VU_IOTLB_ACCESS_FAIL;
	case VU_BACKEND_VRING_HOST_NOTIFIER_MSG:
		no_fd = msg->u.area.u64 & VU_VRING_NOFD;
		return msg->nfds == (no_fd ? 0 : 1) &&
		       !(msg->u.area.u64 & ~(uint64_t)(VU_VRING_INDEX_MASK | VU_VRING_NOFD));
	case VU_BACKEND_VRING_CALL:
	case VU_BACKEND_VRING_ERR:
		return !msg->u.state.num;
	default:
		return true;
	}
}

static bool backend_is_sound(const struct fe_msg *msg)
{
	const struct backend_row *row = &backend_rows[msg->hdr.request];

	return msg->hdr.size == row->size && msg->nfds >= row->fds_min &&
	       msg->nfds <= row->fds_max && backend_fields_are_sound(msg);
}

int fe_backend_receive(struct fe *fe, struct fe_msg *msg, int timeout_ms)
{
	int err = backend_recv(fe, msg, timeout_ms);

	if (!err && (!msg->hdr.request || msg->hdr.request >= BACKEND_ROWS ||
		     !backend_is_sound(msg))) {
		fe_msg_close(msg);
		err = -EPROTO;
	}
	return err;
}

int fe_backend_expect(struct fe *fe, uint32_t request, struct fe_msg *msg, int timeout_ms)
{
	int err = fe_backend_receive(fe, msg, timeout_ms);

	if (!err && msg->hdr.request != request) {
		fe_msg_close(msg);
		err = -EPROTO;
	}
	return err;
}

int fe_backend_reply_fd(struct fe *fe, const struct fe_msg *msg, uint64_t value, int fd)
{
	const struct vu_header hdr = {
		.request = msg->hdr.request, .flags = FE_REPLY_FLAGS, .size = sizeof(value),
	};

	return fe_conn_send(fe->backend_fd, fe->timeout_ms, &hdr, &value, sizeof(value), &fd,
			    fd < 0 ? 0 : 1);
}

bool fe_backend_wants_reply(const struct fe_msg *msg)
{
	return (msg->hdr.flags & VU_NEED_REPLY) ||
	       (msg->hdr.request < BACKEND_ROWS && backend_rows[msg->hdr.request].answered);
}

int fe_backend_reply(struct fe *fe, const struct fe_msg *msg, uint64_t value)
{
	return fe_backend_wants_reply(msg) ? fe_backend_reply_fd(fe, msg, value, -1) : 0;
}
