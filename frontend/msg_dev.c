/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's messages about the device: its configuration, its type's own, its objects. */
#include "config.h"

#include "frontend/msg.h"

#include <errno.h>
#include <string.h>

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
		err = fe_msg_check_plain(&reply, VU_CONFIG_HEADER + len);
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

int fe_send_rarp(struct fe *fe, const uint8_t mac[6])
{
	uint64_t value = 0;

	memcpy(&value, mac, 6);
	return fe_msg_set_u64(fe, VU_SEND_RARP, value);
}

int fe_net_set_mtu(struct fe *fe, uint64_t mtu)
{
	return fe_msg_set_u64(fe, VU_NET_SET_MTU, mtu);
}

int fe_create_crypto_session(struct fe *fe, const void *params, uint32_t size, int64_t *id)
{
	struct fe_msg reply;
	int err;

	if (size < VU_CRYPTO_SIZE_MIN || size > VU_CRYPTO_SIZE_MAX)
		return -EINVAL;
	err = fe_query(fe, VU_CREATE_CRYPTO_SESSION, params, size, NULL, 0, &reply);
	if (!err)
		err = fe_msg_check_plain(&reply, size);
	if (err)
		return err;
	memcpy(id, reply.u.bytes + size - sizeof(*id), sizeof(*id));
	return *id < 0 ? -EIO : 0;
}

int fe_close_crypto_session(struct fe *fe, int64_t id)
{
	return fe_msg_set_u64(fe, VU_CLOSE_CRYPTO_SESSION, (uint64_t)id);
}

int fe_gpu_set_socket(struct fe *fe, int fd)
{
	return fe_request(fe, VU_GPU_SET_SOCKET, NULL, 0, &fd, 1);
}

int fe_get_shared_object(struct fe *fe, const uint8_t uuid[VU_UUID_SIZE], int *fd)
{
	struct fe_msg reply;
	int err;

	err = fe_query(fe, VU_GET_SHARED_OBJECT, uuid, VU_UUID_SIZE, NULL, 0, &reply);
	if (err)
		return err;
	/* The size of the reply is not specified. */
	if (reply.nfds > 1) {
		fe_msg_close(&reply);
		return -EPROTO;
	}
	if (!reply.nfds)
		return -EIO;
	*fd = reply.fds[0];
	return 0;
}

int fe_get_shmem_config(struct fe *fe, struct vu_shmem_config *config)
{
	struct fe_msg reply;
	unsigned int num = 0, i;
	int err = fe_query(fe, VU_GET_SHMEM_CONFIG, NULL, 0, NULL, 0, &reply);

	if (!err)
		err = fe_msg_check_plain(&reply, sizeof(*config));
	if (err)
		return err;
	memcpy(config, reply.u.bytes, sizeof(*config));
	for (i = 0; i < VU_SHMEM_REGIONS_MAX; i++)
		num += !!config->sizes[i];
	return num == config->num_regions ? 0 : -EPROTO;
}
