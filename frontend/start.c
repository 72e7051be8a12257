/* SPDX-License-Identifier: BSD-3-Clause */
/* The sequences of messages with which QEMU begins a connection, starts a device and stops it. */
#include "config.h"

#include "frontend/frontend.h"

#include <errno.h>
#include <linux/virtio_config.h>

static bool start_has(const struct fe *fe, enum vu_protocol_feature bit)
{
	return fe->protocol_features & FE_BIT(bit);
}

/* The messages which a chosen protocol feature brings along at the beginning. */
static int start_protocol(struct fe *fe)
{
	uint64_t value;
	int err = 0;

	if (start_has(fe, VU_PROTOCOL_F_MQ))
		err = fe_get_queue_num(fe, &value);
	if (!err && start_has(fe, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		err = fe_get_max_mem_slots(fe, &value);
	if (!err && start_has(fe, VU_PROTOCOL_F_BACKEND_REQ))
		err = fe_set_backend_req_fd(fe);
	return err;
}

int fe_negotiate(struct fe *fe, uint64_t features, uint64_t protocol_features)
{
	uint64_t offered, offered_protocol;
	int err;

	err = fe_get_features(fe, &offered);
	if (err)
		return err;
	features &= offered;
	/* Who wants everything rarely wants other addresses. */
	if (!fe->gpa)
		protocol_features &= ~FE_BIT(VU_PROTOCOL_F_GPA_ADDRESSES);
	if (features & FE_BIT(VU_F_PROTOCOL_FEATURES)) {
		err = fe_get_protocol_features(fe, &offered_protocol);
		if (!err)
			err = fe_set_protocol_features(fe, protocol_features & offered_protocol);
		if (!err)
			err = start_protocol(fe);
	}
	if (!err)
		err = fe_set_owner(fe);
	if (!err)
		err = fe_sync(fe);
	if (!err)
		fe->features = features;
	return err;
}

/* SET_FEATURES, and what the status byte must say about it. */
static int start_features(struct fe *fe)
{
	uint8_t status;
	int err = fe_set_features(fe, fe->features);

	if (err || !start_has(fe, VU_PROTOCOL_F_STATUS))
		return err;
	err = fe_get_status(fe, &status);
	if (!err && !(status & VIRTIO_CONFIG_S_FEATURES_OK))
		err = fe_set_status(fe, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return err;
}

static int start_driver_ok(struct fe *fe)
{
	uint8_t status;
	int err = fe_get_status(fe, &status);

	if (err)
		return err;
	return fe_set_status(fe, status | VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
				 VIRTIO_CONFIG_S_DRIVER_OK);
}

int fe_start_mem(struct fe *fe, const struct fe_mem *mem)
{
	int err = 0;

	if (!start_has(fe, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return fe_set_mem_table(fe, mem);
	while (fe->mem_regs < mem->num && !err)
		err = fe_add_mem_reg(fe, &mem->regions[fe->mem_regs]);
	return err;
}

static int start_ring_signals(struct fe *fe, struct fe_ring *ring)
{
	int err = fe_set_vring_call(fe, ring->index, ring->call_fd);

	return err ? err : fe_set_vring_err(fe, ring->index, ring->err_fd);
}

/* With GPA_ADDRESSES the ring is told by guest addresses. */
static void start_guest_addr(const struct fe_ring *ring, struct vu_vring_addr *addr)
{
	addr->desc = fe_mem_gpa(ring->mem, ring->desc_area, 1);
	addr->avail = fe_mem_gpa(ring->mem, ring->driver_area, 1);
	addr->used = fe_mem_gpa(ring->mem, ring->device_area, 1);
}

static int start_ring_proper(struct fe *fe, struct fe_ring *ring)
{
	struct vu_vring_addr addr;
	int err;

	fe_ring_get_addr(ring, &addr);
	if (start_has(fe, VU_PROTOCOL_F_GPA_ADDRESSES) && !ring->iommu)
		start_guest_addr(ring, &addr);
	err = fe_set_vring_num(fe, ring->index, ring->size);
	if (!err)
		err = fe_set_vring_base(fe, ring->index, fe_ring_get_base(ring));
	if (!err)
		err = fe_set_vring_addr(fe, &addr);
	if (!err)
		err = fe_set_vring_kick(fe, ring->index, ring->kick_fd);
	return err;
}

int fe_start_ring(struct fe *fe, struct fe_ring *ring)
{
	int err = start_ring_signals(fe, ring);

	return err ? err : start_ring_proper(fe, ring);
}

static int start_enable(struct fe *fe, struct fe_ring *const *rings, unsigned int num, bool enable)
{
	unsigned int i;
	int err = 0;

	/* Without the feature rings are enabled from the start and the message does not exist. */
	if (!(fe->features & FE_BIT(VU_F_PROTOCOL_FEATURES)))
		return 0;
	for (i = 0; i < num && !err; i++)
		err = fe_set_vring_enable(fe, rings[i]->index, enable);
	return err;
}

int fe_start(struct fe *fe, const struct fe_mem *mem, struct fe_ring *const *rings,
	     unsigned int num)
{
	unsigned int i;
	int err;

	err = start_features(fe);
	for (i = 0; i < num && !err; i++)
		err = start_ring_signals(fe, rings[i]);
	/* Twice: QEMU does so because of the in-flight buffer, which depends on the features. */
	if (!err)
		err = start_features(fe);
	if (!err)
		err = fe_start_mem(fe, mem);
	for (i = 0; i < num && !err; i++)
		err = start_ring_proper(fe, rings[i]);
	if (!err)
		err = start_enable(fe, rings, num, true);
	if (!err && start_has(fe, VU_PROTOCOL_F_STATUS))
		err = start_driver_ok(fe);
	return err;
}

int fe_stop_ring(struct fe *fe, struct fe_ring *ring, uint32_t *base)
{
	uint32_t ignored;

	return fe_get_vring_base(fe, ring->index, base ? base : &ignored);
}

int fe_stop(struct fe *fe, struct fe_ring *const *rings, unsigned int num)
{
	unsigned int i;
	int err;

	err = start_enable(fe, rings, num, false);
	for (i = 0; i < num && !err; i++)
		err = fe_stop_ring(fe, rings[i], NULL);
	if (!err && start_has(fe, VU_PROTOCOL_F_STATUS))
		err = fe_set_status(fe, 0);
	return err;
}
