/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's messages, each as a function which is strict about the answer. */
#include "config.h"

#include "frontend/msg.h"

#include <errno.h>

static int msg_send(struct fe *fe, uint32_t request, uint32_t flags, const void *payload,
		    uint32_t size, const int *fds, unsigned int nfds)
{
	const struct vu_header hdr = {
		.request = request, .flags = VU_VERSION | flags, .size = size,
	};

	return fe_send_raw(fe, &hdr, payload, size, fds, nfds);
}

static int msg_recv_reply(struct fe *fe, uint32_t request, struct fe_msg *reply)
{
	int err = fe_recv_raw(fe, reply);

	if (err)
		return err;
	if (reply->hdr.request == request && reply->hdr.flags == FE_REPLY_FLAGS)
		return 0;
	fe_msg_close(reply);
	return -EPROTO;
}

int fe_msg_check_plain(struct fe_msg *reply, size_t size)
{
	bool ok = reply->hdr.size == size && !reply->nfds;

	fe_msg_close(reply);
	return ok ? 0 : -EPROTO;
}

int fe_query(struct fe *fe, uint32_t request, const void *payload, uint32_t size,
	     const int *fds, unsigned int nfds, struct fe_msg *reply)
{
	int err = msg_send(fe, request, 0, payload, size, fds, nfds);

	return err ? err : msg_recv_reply(fe, request, reply);
}

/* Receive a u64 which is 0 if all is well. */
static int msg_recv_ack(struct fe *fe, uint32_t request)
{
	struct fe_msg reply;
	int err = msg_recv_reply(fe, request, &reply);

	if (!err)
		err = fe_msg_check_plain(&reply, sizeof(reply.u.u64));
	if (!err && reply.u.u64)
		err = -EIO;
	return err;
}

int fe_msg_demand(struct fe *fe, uint32_t request, const void *payload, uint32_t size)
{
	int err = msg_send(fe, request, VU_NEED_REPLY, payload, size, NULL, 0);

	return err ? err : msg_recv_ack(fe, request);
}

int fe_request(struct fe *fe, uint32_t request, const void *payload, uint32_t size,
	       const int *fds, unsigned int nfds)
{
	bool ack = (fe->protocol_features & FE_BIT(VU_PROTOCOL_F_REPLY_ACK)) && !fe->no_ack;
	int err;

	err = msg_send(fe, request, ack ? VU_NEED_REPLY : 0, payload, size, fds, nfds);
	return err || !ack ? err : msg_recv_ack(fe, request);
}

int fe_msg_query_u64(struct fe *fe, uint32_t request, uint64_t *value)
{
	struct fe_msg reply;
	int err = fe_query(fe, request, NULL, 0, NULL, 0, &reply);

	if (!err)
		err = fe_msg_check_plain(&reply, sizeof(reply.u.u64));
	if (!err)
		*value = reply.u.u64;
	return err;
}

int fe_msg_set_u64(struct fe *fe, uint32_t request, uint64_t value)
{
	return fe_request(fe, request, &value, sizeof(value), NULL, 0);
}

static int msg_set_nothing(struct fe *fe, uint32_t request)
{
	return fe_request(fe, request, NULL, 0, NULL, 0);
}

int fe_get_features(struct fe *fe, uint64_t *features)
{
	int err = fe_msg_query_u64(fe, VU_GET_FEATURES, &fe->offered);

	if (!err)
		*features = fe->offered;
	return err;
}

int fe_sync(struct fe *fe)
{
	uint64_t features;

	return fe_get_features(fe, &features);
}

int fe_set_features(struct fe *fe, uint64_t features)
{
	fe->features = features;
	return fe_msg_set_u64(fe, VU_SET_FEATURES, features);
}

int fe_get_protocol_features(struct fe *fe, uint64_t *features)
{
	int err = fe_msg_query_u64(fe, VU_GET_PROTOCOL_FEATURES, &fe->protocol_offered);

	if (!err)
		*features = fe->protocol_offered;
	return err;
}

int fe_set_protocol_features(struct fe *fe, uint64_t features)
{
	int err = fe_msg_set_u64(fe, VU_SET_PROTOCOL_FEATURES, features);

	/* Only now: REPLY_ACK takes effect behind this message. */
	if (!err)
		fe->protocol_features = features;
	return err;
}

int fe_set_owner(struct fe *fe)
{
	return msg_set_nothing(fe, VU_SET_OWNER);
}

int fe_reset_owner(struct fe *fe)
{
	return msg_set_nothing(fe, VU_RESET_OWNER);
}

int fe_reset_device(struct fe *fe)
{
	return msg_set_nothing(fe, VU_RESET_DEVICE);
}

int fe_get_queue_num(struct fe *fe, uint64_t *num)
{
	int err = fe_msg_query_u64(fe, VU_GET_QUEUE_NUM, &fe->queue_num);

	if (!err)
		*num = fe->queue_num;
	return err;
}

int fe_set_status(struct fe *fe, uint8_t status)
{
	return fe_msg_set_u64(fe, VU_SET_STATUS, status);
}

int fe_get_status(struct fe *fe, uint8_t *status)
{
	uint64_t value;
	int err = fe_msg_query_u64(fe, VU_GET_STATUS, &value);

	if (!err && value > UINT8_MAX)
		err = -EPROTO;
	if (!err)
		*status = (uint8_t)value;
	return err;
}

static int msg_set_state(struct fe *fe, uint32_t request, unsigned int index, uint32_t num)
{
	const struct vu_vring_state state = { .index = index, .num = num };

	return fe_request(fe, request, &state, sizeof(state), NULL, 0);
}

int fe_set_vring_num(struct fe *fe, unsigned int index, uint32_t num)
{
	return msg_set_state(fe, VU_SET_VRING_NUM, index, num);
}

int fe_set_vring_addr(struct fe *fe, const struct vu_vring_addr *addr)
{
	return fe_request(fe, VU_SET_VRING_ADDR, addr, sizeof(*addr), NULL, 0);
}

int fe_set_vring_base(struct fe *fe, unsigned int index, uint32_t base)
{
	return msg_set_state(fe, VU_SET_VRING_BASE, index, base);
}

static int msg_get_base(struct fe *fe, uint32_t request, unsigned int index, uint32_t *base)
{
	const struct vu_vring_state state = { .index = index };
	struct fe_msg reply;
	int err;

	err = fe_query(fe, request, &state, sizeof(state), NULL, 0, &reply);
	if (!err)
		err = fe_msg_check_plain(&reply, sizeof(reply.u.state));
	if (!err && reply.u.state.index != index)
		err = -EPROTO;
	if (!err)
		*base = reply.u.state.num;
	return err;
}

int fe_get_vring_base(struct fe *fe, unsigned int index, uint32_t *base)
{
	return msg_get_base(fe, VU_GET_VRING_BASE, index, base);
}

int fe_get_vring_base_skip_drain(struct fe *fe, unsigned int index, uint32_t *base)
{
	return msg_get_base(fe, VU_GET_VRING_BASE_SKIP_DRAIN, index, base);
}

int fe_set_vring_endian(struct fe *fe, unsigned int index, bool big)
{
	return msg_set_state(fe, VU_SET_VRING_ENDIAN, index, big);
}

int fe_vring_kick(struct fe *fe, unsigned int index)
{
	return msg_set_state(fe, VU_VRING_KICK, index, 0);
}

int fe_set_vring_enable(struct fe *fe, unsigned int index, bool enable)
{
	return msg_set_state(fe, VU_SET_VRING_ENABLE, index, enable);
}

static int msg_set_vring_fd(struct fe *fe, uint32_t request, unsigned int index, int fd)
{
	const uint64_t value = index | (fd < 0 ? VU_VRING_NOFD : 0);

	return fe_request(fe, request, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

int fe_set_vring_kick(struct fe *fe, unsigned int index, int fd)
{
	return msg_set_vring_fd(fe, VU_SET_VRING_KICK, index, fd);
}

int fe_set_vring_call(struct fe *fe, unsigned int index, int fd)
{
	return msg_set_vring_fd(fe, VU_SET_VRING_CALL, index, fd);
}

int fe_set_vring_err(struct fe *fe, unsigned int index, int fd)
{
	return msg_set_vring_fd(fe, VU_SET_VRING_ERR, index, fd);
}
