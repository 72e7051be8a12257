/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's messages about migration: log, in-flight region, postcopy, device state. */
#include "config.h"

#include <errno.h>

#include "frontend/fe_migrate.h"
#include "frontend/msg.h"

/* The only bits of SET_DEVICE_STATE_FD's answer. */
#define MIGRATE_STATE_ERROR	0xffu

int fe_set_log_base(struct fe *fe, uint64_t size, uint64_t offset, int fd)
{
	const struct vu_log log = { .size = size, .offset = offset };
	struct fe_msg reply;
	int err;

	/* QEMU sends this payload also without the feature, but then there is no fd. */
	if (!(fe->protocol_features & FE_BIT(VU_PROTOCOL_F_LOG_SHMFD)))
		return fe_request(fe, VU_SET_LOG_BASE, &log, sizeof(log), NULL, 0);
	err = fe_query(fe, VU_SET_LOG_BASE, &log, sizeof(log), &fd, 1, &reply);
	/* Some send nothing in it, some what they got, some anything. */
	if (!err && fe->any_log_reply) {
		fe_msg_close(&reply);
		return 0;
	}
	if (!err)
		err = fe_msg_check_plain(&reply, sizeof(reply.u.u64));
	if (!err && reply.u.u64)
		err = -EIO;
	return err;
}

int fe_set_log_fd(struct fe *fe, int fd)
{
	return fe_request(fe, VU_SET_LOG_FD, NULL, 0, &fd, 1);
}

int fe_get_inflight_fd(struct fe *fe, struct vu_inflight *inflight, int *fd)
{
	const struct vu_inflight *said;
	struct fe_msg reply;
	int err;

	err = fe_query(fe, VU_GET_INFLIGHT_FD, inflight, sizeof(*inflight), NULL, 0, &reply);
	if (err)
		return err;
	said = &reply.u.inflight;
	if (reply.hdr.size == sizeof(*said) && !said->mmap_size && !reply.nfds)
		return -EIO;
	if (reply.hdr.size != sizeof(*said) || reply.nfds != 1 || !said->mmap_size ||
	    said->num_queues != inflight->num_queues || said->queue_size != inflight->queue_size) {
		fe_msg_close(&reply);
		return -EPROTO;
	}
	*inflight = *said;
	*fd = reply.fds[0];
	return 0;
}

int fe_set_inflight_fd(struct fe *fe, const struct vu_inflight *inflight, int fd)
{
	return fe_request(fe, VU_SET_INFLIGHT_FD, inflight, sizeof(*inflight), &fd, 1);
}

int fe_postcopy_advise(struct fe *fe, int *fd)
{
	struct fe_msg reply;
	int err = fe_query(fe, VU_POSTCOPY_ADVISE, NULL, 0, NULL, 0, &reply);

	if (err)
		return err;
	if (reply.hdr.size || reply.nfds > 1) {
		fe_msg_close(&reply);
		return -EPROTO;
	}
	if (!reply.nfds)
		return -EIO;
	*fd = reply.fds[0];
	return 0;
}

int fe_postcopy_listen(struct fe *fe)
{
	return fe_msg_demand(fe, VU_POSTCOPY_LISTEN, NULL, 0);
}

int fe_postcopy_end(struct fe *fe)
{
	return fe_msg_demand(fe, VU_POSTCOPY_END, NULL, 0);
}

/* What the answer's bits and its fds say together. */
static int migrate_check_state(const struct fe_msg *reply)
{
	bool no_fd = reply->u.u64 & VU_TRANSFER_NO_FD;
	uint64_t error = reply->u.u64 & MIGRATE_STATE_ERROR;

	if (reply->hdr.size != sizeof(reply->u.u64) || reply->nfds != (no_fd ? 0 : 1) ||
	    (reply->u.u64 & ~(uint64_t)(MIGRATE_STATE_ERROR | VU_TRANSFER_NO_FD)) ||
	    (error && !no_fd))
		return -EPROTO;
	return error ? -EIO : 0;
}

int fe_set_device_state_fd(struct fe *fe, uint32_t direction, uint32_t phase, int fd, int *other)
{
	const struct vu_transfer_state state = { .direction = direction, .phase = phase };
	struct fe_msg reply;
	int err;

	err = fe_query(fe, VU_SET_DEVICE_STATE_FD, &state, sizeof(state), &fd, 1, &reply);
	if (err)
		return err;
	err = migrate_check_state(&reply);
	if (err)
		fe_msg_close(&reply);
	else
		*other = reply.nfds ? reply.fds[0] : -1;
	return err;
}

int fe_check_device_state(struct fe *fe)
{
	uint64_t value;
	int err = fe_msg_query_u64(fe, VU_CHECK_DEVICE_STATE, &value);

	return !err && value ? -EIO : err;
}
