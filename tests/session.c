/* SPDX-License-Identifier: BSD-3-Clause */
/* A complete session of a front-end. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_iommu.h"
#include "frontend/fe_migrate.h"
#include "util.h"

#define REQUEST_BYTES 100u

struct session {
	const struct session_params *params;
	struct fe fe;
	struct fe_mem mem;
	struct fe_iommu iommu;
	struct fe_ring ring[SESSION_RINGS], *list[SESSION_RINGS];
	unsigned int rings;		/* initialised */
};

static bool session_has(const struct session *s, enum vu_protocol_feature bit)
{
	return s->fe.protocol_features & FE_BIT(bit);
}

/* A request through the ring and back. */
static int session_request(struct session *s, struct fe_ring *ring)
{
	uint8_t *buf = fe_mem_alloc(&s->mem, 2 * REQUEST_BYTES, 1);
	struct iovec out[2] = { { buf, 10 }, { buf + 10, REQUEST_BYTES - 10 } };
	struct iovec in = { buf + REQUEST_BYTES, REQUEST_BYTES };
	uint32_t len;
	void *cookie;
	int err;

	if (!buf)
		return -ENOMEM;
	memset(buf, 0x77, REQUEST_BYTES);
	err = fe_ring_add(ring, out, 2, &in, 1, buf);
	if (err < 0)
		return err;
	fe_ring_submit(ring);
	err = ring->iommu ? fe_iommu_ring_wait(&s->fe, &s->iommu, ring, FE_TIMEOUT_MS) :
			    fe_ring_wait(ring, FE_TIMEOUT_MS);
	if (err)
		return err;
	err = fe_ring_get(ring, &cookie, &len);
	return err == 1 && cookie == buf ? 0 : -EPROTO;
}

/* Without acknowledgements an error shows here only. */
static int session_requests(struct session *s)
{
	int err = fe_sync(&s->fe);
	unsigned int i;

	for (i = 0; i < SESSION_RINGS && !err; i++)
		err = session_request(s, &s->ring[i]);
	return err;
}

/*
 * Messages besides those which start and stop
 */

static int session_config(struct session *s)
{
	uint8_t config[4];
	int err = fe_get_config(&s->fe, 0, config, sizeof(config));

	return err ? err : fe_set_config(&s->fe, 0, config, sizeof(config), VU_CONFIG_WRITABLE);
}

static int session_types(struct session *s)
{
	static const uint8_t mac[6] = { 2 };
	uint8_t crypto[VU_CRYPTO_SIZE_MIN + 8] = { 1 };
	struct vu_shmem_config shmem;
	int64_t id;
	int err = 0;

	if (session_has(s, VU_PROTOCOL_F_RARP))
		err = fe_send_rarp(&s->fe, mac);
	if (!err && session_has(s, VU_PROTOCOL_F_NET_MTU))
		err = fe_net_set_mtu(&s->fe, 1500);
	if (!err && session_has(s, VU_PROTOCOL_F_CRYPTO_SESSION)) {
		err = fe_create_crypto_session(&s->fe, crypto, sizeof(crypto), &id);
		if (!err)
			err = fe_close_crypto_session(&s->fe, id);
	}
	if (!err && session_has(s, VU_PROTOCOL_F_SHMEM))
		err = fe_get_shmem_config(&s->fe, &shmem);
	return err;
}

static int session_object(struct session *s)
{
	static const uint8_t uuid[VU_UUID_SIZE] = { 2 };
	int fd = -1, err;

	if (!session_has(s, VU_PROTOCOL_F_SHARED_OBJECT))
		return 0;
	err = fe_get_shared_object(&s->fe, uuid, &fd);
	close_fd(&fd);
	return err;
}

/* Requests while written pages are logged. */
static int session_log(struct session *s)
{
	const struct session_params *p = s->params;
	struct fe_log log;
	int err;

	if (!session_has(s, VU_PROTOCOL_F_LOG_SHMFD))
		return 0;
	err = fe_log_init(&log, p->gpa + p->mem_size, 0);
	if (err)
		return err;
	err = fe_set_log_fd(&s->fe, s->ring[0].call_fd);
	if (!err)
		err = fe_log_start(&s->fe, &log, s->list, SESSION_RINGS);
	if (!err)
		err = session_requests(s);
	if (!err)
		err = fe_log_stop(&s->fe, s->list, SESSION_RINGS);
	fe_log_free(&log);
	return err;
}

/* A translation goes, and comes back when the device asks for it. */
static int session_iotlb(struct session *s)
{
	if (!s->iommu.num)
		return 0;
	return fe_iotlb_invalidate(&s->fe, s->iommu.entries[0].iova, s->iommu.entries[0].size);
}

static int session_kick(struct session *s)
{
	if (!session_has(s, VU_PROTOCOL_F_INBAND_NOTIFICATIONS))
		return 0;
	return fe_vring_kick(&s->fe, 0);
}

/* Requests which come back when their ring stops; nobody waits for them. */
static int session_hold(struct session *s)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < SESSION_RINGS && s->params->hold && err >= 0; i++) {
		struct iovec out = { fe_mem_alloc(&s->mem, SESSION_HELD, 1), SESSION_HELD };

		if (!out.iov_base)
			return -ENOMEM;
		err = fe_ring_add(&s->ring[i], &out, 1, NULL, 0, s);
		fe_ring_submit(&s->ring[i]);
	}
	return MIN(err, 0);
}

/* A ring has been stopped: what was held came back. */
static void session_reap(struct fe_ring *ring)
{
	uint32_t len;
	void *cookie;

	while (fe_ring_get(ring, &cookie, &len) == 1)
		;
}

static int session_inflight(struct session *s)
{
	struct vu_inflight inflight = {
		.num_queues = SESSION_RINGS, .queue_size = (uint16_t)s->params->ring_size,
	};
	struct fe_msg reply;
	int err;

	if (!session_has(s, VU_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	/* Its layout depends on the ring format. */
	err = fe_set_features(&s->fe, s->fe.features);
	if (err)
		return err;
	err = fe_query(&s->fe, VU_GET_INFLIGHT_FD, &inflight, sizeof(inflight), NULL, 0, &reply);
	if (err)
		return err;
	memcpy(&inflight, reply.u.bytes, sizeof(inflight));
	if (reply.nfds == 1)
		err = fe_request(&s->fe, VU_SET_INFLIGHT_FD, &inflight, sizeof(inflight),
				 reply.fds, 1);
	fe_msg_close(&reply);
	return err;
}

static int session_state(struct session *s)
{
	size_t len = 0;
	void *buf;
	int err;

	if (!session_has(s, VU_PROTOCOL_F_DEVICE_STATE))
		return 0;
	err = fe_state_save(&s->fe, &buf, &len);
	if (err)
		return err;
	err = fe_state_load(&s->fe, buf, len);
	free(buf);
	return err;
}

/* Another region comes and goes while the rings run. */
static int session_hotplug(struct session *s)
{
	const struct session_params *p = s->params;
	const struct fe_region_params region = {
		.gpa = p->gpa + (1 << 30), .size = 4096,
		.uva = p->uva ? p->uva + (1 << 30) : 0,
	};
	int err;

	if (!session_has(s, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return 0;
	err = fe_mem_add(&s->mem, &region);
	if (err < 0)
		return err;
	err = fe_add_mem_reg(&s->fe, &s->mem.regions[1]);
	return err ? err : fe_rem_mem_reg(&s->fe, &s->mem.regions[1]);
}

/* New fds while the rings run. */
static int session_fds(struct session *s)
{
	int err = fe_set_vring_call(&s->fe, 0, s->ring[0].call_fd);

	if (!err)
		err = fe_set_vring_kick(&s->fe, 0, s->ring[0].kick_fd);
	if (!err)
		err = fe_set_vring_err(&s->fe, 0, s->ring[0].err_fd);
	return err;
}

static int session_restart(struct session *s)
{
	int err = fe_stop_ring(&s->fe, &s->ring[0], NULL);

	session_reap(&s->ring[0]);
	if (!err)
		err = fe_start_ring(&s->fe, &s->ring[0]);
	if (!err)
		err = fe_set_vring_enable(&s->fe, 1, false);
	return err ? err : fe_set_vring_enable(&s->fe, 1, true);
}

/* What is outstanding stays noted, and is served when the ring starts again. */
static int session_skip_drain(struct session *s)
{
	uint32_t base;
	int err;

	if (!session_has(s, VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN))
		return 0;
	err = fe_get_vring_base_skip_drain(&s->fe, 0, &base);
	return err ? err : fe_start_ring(&s->fe, &s->ring[0]);
}

/*
 * The session
 */

static int session_rings(struct session *s)
{
	const struct session_params *p = s->params;
	int err = 0;

	for (; s->rings < SESSION_RINGS && !err; s->rings++) {
		const struct fe_ring_params ring = {
			.index = s->rings, .size = p->ring_size, .features = s->fe.features,
			.indirect = s->fe.features & FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) ? 4 : 0,
			.iommu = s->iommu.num ? &s->iommu : NULL,
		};

		err = fe_ring_init(&s->ring[s->rings], &s->mem, &ring);
		if (err)
			return err;
		s->list[s->rings] = &s->ring[s->rings];
	}
	return err;
}

/* One after the other, until one fails. */
static int (*const session_running[])(struct session *s) = {
	session_requests, session_config, session_types, session_object, session_log,
	session_hotplug, session_fds, session_iotlb, session_requests, session_kick, session_hold,
	session_skip_drain, session_restart, session_requests, session_hold,
};

static int session_go(struct session *s)
{
	const struct session_params *p = s->params;
	const struct fe_region_params region = {
		.gpa = p->gpa, .uva = p->uva, .size = p->mem_size,
	};
	unsigned int i;
	int err = fe_mem_add(&s->mem, &region);

	if (err >= 0)
		err = fe_negotiate(&s->fe, p->features | FE_BIT(VU_F_PROTOCOL_FEATURES),
				   ~UINT64_C(0));
	if (!err && s->fe.features & FE_BIT(VIRTIO_F_ACCESS_PLATFORM))
		err = fe_iommu_map_region(&s->iommu, &s->mem, 0, p->gpa);
	if (!err)
		err = session_rings(s);
	if (!err)
		err = session_inflight(s);
	if (!err)
		err = fe_start(&s->fe, &s->mem, s->list, SESSION_RINGS);
	for (i = 0; i < ARRAY_SIZE(session_running) && !err; i++)
		err = session_running[i](s);
	if (!err)
		err = fe_stop(&s->fe, s->list, SESSION_RINGS);
	if (!err)
		err = session_state(s);
	if (!err && session_has(s, VU_PROTOCOL_F_RESET_DEVICE))
		err = fe_reset_device(&s->fe);
	return err ? err : fe_sync(&s->fe);
}

int session_run(const struct session_params *params, int fd)
{
	struct session s = { .params = params };
	int err;

	fe_attach(&s.fe, fd);
	s.fe.no_ack = params->no_ack;
	err = session_go(&s);
	fe_close(&s.fe);
	while (s.rings)
		fe_ring_free(&s.ring[--s.rings]);
	fe_mem_free(&s.mem);
	fe_iommu_free(&s.iommu);
	return err;
}
