/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's messages, each as a function which is strict about the answer. */
#include "config.h"

#include "frontend/conn.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A reply has exactly these flags; an echoed NEED_REPLY ends QEMU's connection. */
#define MSG_REPLY_FLAGS	(VU_VERSION | VU_REPLY)

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
	if (reply->hdr.request == request && reply->hdr.flags == MSG_REPLY_FLAGS)
		return 0;
	fe_msg_close(reply);
	return -EPROTO;
}

/* The reply must have this size and no fds. */
static int msg_check_plain(struct fe_msg *reply, size_t size)
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

int fe_request(struct fe *fe, uint32_t request, const void *payload, uint32_t size,
	       const int *fds, unsigned int nfds)
{
	bool ack = (fe->protocol_features & FE_BIT(VU_PROTOCOL_F_REPLY_ACK)) && !fe->no_ack;
	struct fe_msg reply;
	int err;

	err = msg_send(fe, request, ack ? VU_NEED_REPLY : 0, payload, size, fds, nfds);
	if (err || !ack)
		return err;
	err = msg_recv_reply(fe, request, &reply);
	if (!err)
		err = msg_check_plain(&reply, sizeof(reply.u.u64));
	if (!err && reply.u.u64)
		err = -EIO;
	return err;
}

static int msg_query_u64(struct fe *fe, uint32_t request, uint64_t *value)
{
	struct fe_msg reply;
	int err = fe_query(fe, request, NULL, 0, NULL, 0, &reply);

	if (!err)
		err = msg_check_plain(&reply, sizeof(reply.u.u64));
	if (!err)
		*value = reply.u.u64;
	return err;
}

static int msg_set_u64(struct fe *fe, uint32_t request, uint64_t value)
{
	return fe_request(fe, request, &value, sizeof(value), NULL, 0);
}

static int msg_set_nothing(struct fe *fe, uint32_t request)
{
	return fe_request(fe, request, NULL, 0, NULL, 0);
}

int fe_get_features(struct fe *fe, uint64_t *features)
{
	int err = msg_query_u64(fe, VU_GET_FEATURES, &fe->offered);

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
	return msg_set_u64(fe, VU_SET_FEATURES, features);
}

int fe_get_protocol_features(struct fe *fe, uint64_t *features)
{
	int err = msg_query_u64(fe, VU_GET_PROTOCOL_FEATURES, &fe->protocol_offered);

	if (!err)
		*features = fe->protocol_offered;
	return err;
}

int fe_set_protocol_features(struct fe *fe, uint64_t features)
{
	int err = msg_set_u64(fe, VU_SET_PROTOCOL_FEATURES, features);

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
	int err = msg_query_u64(fe, VU_GET_QUEUE_NUM, &fe->queue_num);

	if (!err)
		*num = fe->queue_num;
	return err;
}

int fe_set_status(struct fe *fe, uint8_t status)
{
	return msg_set_u64(fe, VU_SET_STATUS, status);
}

int fe_get_status(struct fe *fe, uint8_t *status)
{
	uint64_t value;
	int err = msg_query_u64(fe, VU_GET_STATUS, &value);

	if (!err && value > UINT8_MAX)
		err = -EPROTO;
	if (!err)
		*status = (uint8_t)value;
	return err;
}

static struct vu_region msg_region(const struct fe_region *r)
{
	return (struct vu_region){
		.guest_addr = r->gpa,
		.size = r->size,
		.user_addr = r->uva,
		.mmap_offset = r->offset,
	};
}

int fe_set_mem_table(struct fe *fe, const struct fe_mem *mem)
{
	struct vu_memory table = { .num_regions = mem->num };
	int fds[VU_FDS_MAX];
	unsigned int i;

	if (mem->num > VU_FDS_MAX)
		return -EINVAL;
	for (i = 0; i < mem->num; i++) {
		table.regions[i] = msg_region(&mem->regions[i]);
		fds[i] = mem->regions[i].fd;
	}
	/* Only the regions in use, as QEMU does it. */
	return fe_request(fe, VU_SET_MEM_TABLE, &table,
			  (uint32_t)(offsetof(struct vu_memory, regions) +
				     mem->num * sizeof(struct vu_region)), fds, mem->num);
}

int fe_get_max_mem_slots(struct fe *fe, uint64_t *slots)
{
	return msg_query_u64(fe, VU_GET_MAX_MEM_SLOTS, slots);
}

int fe_add_mem_reg(struct fe *fe, const struct fe_region *region)
{
	const struct vu_mem_reg reg = { .region = msg_region(region) };
	int err = fe_request(fe, VU_ADD_MEM_REG, &reg, sizeof(reg), &region->fd, 1);

	if (!err)
		fe->mem_regs++;
	return err;
}

int fe_rem_mem_reg(struct fe *fe, const struct fe_region *region)
{
	const struct vu_mem_reg reg = { .region = msg_region(region) };
	int err = fe_request(fe, VU_REM_MEM_REG, &reg, sizeof(reg), NULL, 0);

	if (!err)
		fe->mem_regs--;
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

int fe_get_vring_base(struct fe *fe, unsigned int index, uint32_t *base)
{
	const struct vu_vring_state state = { .index = index };
	struct fe_msg reply;
	int err;

	err = fe_query(fe, VU_GET_VRING_BASE, &state, sizeof(state), NULL, 0, &reply);
	if (!err)
		err = msg_check_plain(&reply, sizeof(reply.u.state));
	if (!err && reply.u.state.index != index)
		err = -EPROTO;
	if (!err)
		*base = reply.u.state.num;
	return err;
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

int fe_get_config(struct fe *fe, uint32_t off, void *buf, uint32_t len)
{
	const struct vu_config config = { .offset = off, .size = len };
	struct fe_msg reply;
	int err;

	if (len > VU_CONFIG_MAX)
		return -EINVAL;
	err = fe_query(fe, VU_GET_CONFIG, &config, VU_CONFIG_HEADER + len, NULL, 0, &reply);
	if (!err && !reply.hdr.size)
		err = -EIO;
	if (!err)
		err = msg_check_plain(&reply, VU_CONFIG_HEADER + len);
	if (!err && (reply.u.config.offset != off || reply.u.config.size != len))
		err = -EPROTO;
	if (!err)
		memcpy(buf, reply.u.config.region, len);
	return err;
}

int fe_set_config(struct fe *fe, uint32_t off, const void *buf, uint32_t len, uint32_t flags)
{
	struct vu_config config = { .offset = off, .size = len, .flags = flags };

	if (len > VU_CONFIG_MAX)
		return -EINVAL;
	memcpy(config.region, buf, len);
	return fe_request(fe, VU_SET_CONFIG, &config, VU_CONFIG_HEADER + len, NULL, 0);
}

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

int fe_backend_recv(struct fe *fe, struct fe_msg *msg)
{
	int err = fe_conn_recv(fe->backend_fd, fe->timeout_ms, msg);

	if (!err && (msg->hdr.flags & ~VU_NEED_REPLY) != VU_VERSION) {
		fe_msg_close(msg);
		err = -EPROTO;
	}
	return err;
}

int fe_backend_reply(struct fe *fe, const struct fe_msg *msg, uint64_t value)
{
	const struct vu_header hdr = {
		.request = msg->hdr.request, .flags = MSG_REPLY_FLAGS, .size = sizeof(value),
	};

	if (!(msg->hdr.flags & VU_NEED_REPLY))
		return 0;
	return fe_conn_send(fe->backend_fd, fe->timeout_ms, &hdr, &value, sizeof(value), NULL, 0);
}
