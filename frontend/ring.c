/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of a virtqueue, apart from the ring format: life, kicks, interrupts. */
#include "config.h"

#include "frontend/ring.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frontend/deadline.h"
#include "frontend/fe_iommu.h"

/* Apart, so that the two sides do not write into the same cache line. */
#define RING_ALIGN	64u

static int ring_alloc_areas(struct fe_ring *ring, const size_t len[3])
{
	ring->desc_area = fe_mem_alloc(ring->mem, len[0], RING_ALIGN);
	ring->driver_area = fe_mem_alloc(ring->mem, len[1], RING_ALIGN);
	ring->device_area = fe_mem_alloc(ring->mem, len[2], RING_ALIGN);
	if (!ring->desc_area || !ring->driver_area || !ring->device_area)
		return -ENOMEM;
	if (!ring->table_len)
		return 0;
	ring->tables = fe_mem_alloc(ring->mem,
				    (size_t)ring->size * ring->table_len * sizeof(*ring->tables),
				    RING_ALIGN);
	return ring->tables ? 0 : -ENOMEM;
}

static int ring_open_fds(struct fe_ring *ring)
{
	ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ring->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return ring->kick_fd < 0 || ring->call_fd < 0 || ring->err_fd < 0 ? -errno : 0;
}

/* The bytes at ptr in another memory, at the same guest address. */
static void *ring_same_place(const struct fe_ring *ring, const struct fe_mem *to, const void *ptr,
			     size_t len)
{
	return fe_mem_ptr(to, fe_mem_gpa(ring->mem, ptr, len), len);
}

int fe_ring_move(struct fe_ring *ring, struct fe_mem *to)
{
	size_t len[3], table = (size_t)ring->size * ring->table_len * sizeof(*ring->tables);
	void *areas[3], *tables;

	ring->ops->layout(ring->size, len);
	areas[0] = ring_same_place(ring, to, ring->desc_area, len[0]);
	areas[1] = ring_same_place(ring, to, ring->driver_area, len[1]);
	areas[2] = ring_same_place(ring, to, ring->device_area, len[2]);
	tables = table ? ring_same_place(ring, to, ring->tables, table) : NULL;
	if (!areas[0] || !areas[1] || !areas[2] || (table && !tables))
		return -EFAULT;
	ring->desc_area = areas[0];
	ring->driver_area = areas[1];
	ring->device_area = areas[2];
	ring->tables = tables;
	ring->mem = to;
	ring->ops->place(ring);
	return 0;
}

int fe_ring_init(struct fe_ring *ring, struct fe_mem *mem, const struct fe_ring_params *params)
{
	size_t len[3];
	int err;

	*ring = (struct fe_ring){
		.ops = params->features & FE_BIT(VIRTIO_F_RING_PACKED) ? &fe_packed_ops :
									  &fe_split_ops,
		.mem = mem,
		.index = params->index,
		.size = params->size,
		.features = params->features,
		.flags = params->flags,
		.iommu = params->iommu,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
	};
	if (fe_ring_has(ring, VIRTIO_RING_F_INDIRECT_DESC))
		ring->indirect = ring->table_len = params->indirect;
	err = ring->ops->layout(ring->size, len);
	if (err)
		return err;
	ring->slots = calloc(ring->size, sizeof(*ring->slots));
	ring->free = calloc(ring->size, sizeof(*ring->free));
	err = ring->slots && ring->free ? ring_alloc_areas(ring, len) : -ENOMEM;
	if (!err)
		err = ring_open_fds(ring);
	if (err) {
		fe_ring_free(ring);
		return err;
	}
	ring->ops->place(ring);
	fe_ring_reset(ring, params->base);
	return 0;
}

static void ring_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void fe_ring_free(struct fe_ring *ring)
{
	ring_close(&ring->kick_fd);
	ring_close(&ring->call_fd);
	ring_close(&ring->err_fd);
	free(ring->slots);
	free(ring->free);
	ring->slots = NULL;
	ring->free = NULL;
}

void fe_ring_reset(struct fe_ring *ring, uint32_t base)
{
	size_t len[3];
	unsigned int i;

	ring->ops->layout(ring->size, len);
	memset(ring->desc_area, 0, len[0]);
	memset(ring->driver_area, 0, len[1]);
	memset(ring->device_area, 0, len[2]);
	memset(ring->slots, 0, ring->size * sizeof(*ring->slots));
	for (i = 0; i < ring->size; i++)
		ring->free[i] = (uint16_t)i;
	ring->free_at = 0;
	ring->num_free = ring->size;
	ring->outstanding = 0;
	ring->batch = false;
	ring->ops->reset(ring, base);
	if (ring->flags & FE_RING_POLL)
		ring->ops->irq_off(ring);
	else
		ring->ops->irq_on(ring);
}

/* A place in the circle of free ids. */
static unsigned int ring_free_place(const struct fe_ring *ring, unsigned int i)
{
	unsigned int at = ring->free_at + i;

	return at < ring->size ? at : at - ring->size;
}

uint16_t fe_ring_free_id(const struct fe_ring *ring, unsigned int i)
{
	return ring->free[ring_free_place(ring, i)];
}

/*
 * An id comes back: to be taken next, while its descriptor is in the cache; but in order if all
 * is in order, since then descriptors must be used as they lie in the ring (VIRTIO 2.7.9).
 */
static void ring_put_id(struct fe_ring *ring, uint16_t id)
{
	unsigned int at = ring->num_free;

	if (!fe_ring_has(ring, VIRTIO_F_IN_ORDER)) {
		ring->free_at = ring_free_place(ring, ring->size - 1);
		at = 0;
	}
	ring->free[ring_free_place(ring, at)] = id;
	ring->num_free++;
}

bool fe_ring_take_id(struct fe_ring *ring, uint16_t id)
{
	unsigned int i;

	for (i = 0; i < ring->num_free && fe_ring_free_id(ring, i) != id; i++)
		;
	if (i == ring->num_free)
		return false;
	for (ring->num_free--; i < ring->num_free; i++)
		ring->free[ring_free_place(ring, i)] = fe_ring_free_id(ring, i + 1);
	return true;
}

uint16_t fe_ring_take(struct fe_ring *ring, unsigned int num)
{
	uint16_t id = fe_ring_free_id(ring, 0);
	unsigned int i;

	for (i = 0; i + 1 < num; i++)
		ring->slots[fe_ring_free_id(ring, i)].next = fe_ring_free_id(ring, i + 1);
	ring->slots[id].num = (uint16_t)num;
	ring->free_at = ring_free_place(ring, num);
	ring->num_free -= num;
	return id;
}

void fe_ring_note(struct fe_ring *ring, uint16_t id, uint32_t in_len, void *cookie)
{
	ring->slots[id].cookie = cookie;
	ring->slots[id].in_len = in_len;
	if (ring->outstanding++)
		ring->slots[ring->newest].newer = id;
	else
		ring->oldest = id;
	ring->newest = id;
	ring->stats.added++;
}

uint64_t fe_ring_addr_of(const struct fe_ring *ring, const void *ptr, size_t len)
{
	return ring->iommu ? fe_iommu_addr(ring->iommu, ptr, len) : fe_mem_gpa(ring->mem, ptr, len);
}

int fe_ring_addr(const struct fe_ring *ring, const struct iovec *iov, uint64_t *addr)
{
	if (iov->iov_len <= UINT32_MAX && (ring->flags & FE_RING_ADDR)) {
		*addr = (uintptr_t)iov->iov_base;
		return 0;
	}
	*addr = fe_ring_addr_of(ring, iov->iov_base, iov->iov_len);
	return *addr == UINT64_MAX || iov->iov_len > UINT32_MAX ? -EFAULT : 0;
}

static uint32_t ring_iov_len(const struct iovec *iov, unsigned int n)
{
	uint64_t sum = 0;

	while (n--)
		sum += iov++->iov_len;
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

int fe_ring_add(struct fe_ring *ring, const struct iovec *out, unsigned int nout,
		const struct iovec *in, unsigned int nin, void *cookie)
{
	const struct fe_chain chain = {
		.out = out, .in = in, .nout = nout, .nin = nin, .num = nout + nin,
		.in_len = ring_iov_len(in, nin), .cookie = cookie,
	};
	bool indirect = chain.num > 1 && chain.num <= ring->indirect;

	if (!cookie || !chain.num)
		return -EINVAL;
	if ((indirect ? 1 : chain.num) > ring->num_free)
		return -ENOSPC;
	return ring->ops->add(ring, &chain, indirect);
}

void fe_ring_publish(struct fe_ring *ring)
{
	ring->ops->publish(ring);
}

bool fe_ring_kick_needed(struct fe_ring *ring)
{
	return ring->ops->kick_needed(ring);
}

bool fe_ring_kick(struct fe_ring *ring)
{
	bool needed = fe_ring_kick_needed(ring);

	if (needed)
		fe_ring_kick_always(ring);
	else
		ring->stats.kicks_saved++;
	return needed;
}

void fe_ring_kick_always(struct fe_ring *ring)
{
	ring->stats.kicks++;
	/* It fails only when so many kicks are pending that this one adds nothing. */
	if (ring->kick_fd >= 0)
		eventfd_write(ring->kick_fd, 1);
}

void fe_ring_submit(struct fe_ring *ring)
{
	fe_ring_publish(ring);
	fe_ring_kick(ring);
}

/* The chain has come back: so have its ids. */
static void ring_release(struct fe_ring *ring, uint32_t id)
{
	struct fe_slot *head = &ring->slots[id];
	uint16_t at = (uint16_t)id;
	unsigned int i;

	for (i = 0; i < head->num; i++) {
		ring_put_id(ring, at);
		at = ring->slots[at].next;
	}
	head->cookie = NULL;
	ring->oldest = head->newer;
	ring->outstanding--;
	ring->stats.got++;
}

bool fe_ring_ready(const struct fe_ring *ring)
{
	return ring->batch || ring->ops->ready(ring);
}

/*
 * The next chain which has been used.  If all is in order, what the device writes stands for all
 * chains up to the one it names; of the others it is known that they were used in full.
 */
static uint16_t ring_next_used(struct fe_ring *ring, uint32_t *len)
{
	uint16_t id = ring->batch_id;

	if (fe_ring_has(ring, VIRTIO_F_IN_ORDER))
		id = ring->oldest;
	ring->batch = id != ring->batch_id;
	*len = ring->batch ? ring->slots[id].in_len : ring->batch_len;
	return id;
}

int fe_ring_get(struct fe_ring *ring, void **cookie, uint32_t *len)
{
	uint32_t id, in_len;

	if (!fe_ring_ready(ring))
		return 0;
	if (ring->batch && ring->ops->counts_chains && !ring->ops->ready(ring))
		return -EPROTO;
	if (!ring->batch) {
		ring->ops->peek(ring, &id, &ring->batch_len);
		if (!fe_ring_knows(ring, id)) {
			ring->ops->advance(ring, 1);
			return -EPROTO;
		}
		ring->batch_id = (uint16_t)id;
	}
	id = ring_next_used(ring, len);
	*cookie = ring->slots[id].cookie;
	in_len = ring->slots[id].in_len;
	ring->ops->advance(ring, ring->slots[id].num);
	ring_release(ring, id);
	return *len > in_len ? -EPROTO : 1;
}

int fe_ring_recycle(struct fe_ring *ring, void **cookie, uint32_t *len)
{
	const struct fe_slot *slot;
	uint32_t id;

	if (!ring->ops->ready(ring))
		return 0;
	ring->ops->peek(ring, &id, len);
	if (!fe_ring_knows(ring, id))
		return -EPROTO;
	slot = &ring->slots[id];
	if (slot->num != 1 || fe_ring_has(ring, VIRTIO_F_IN_ORDER))
		return -EOPNOTSUPP;
	*cookie = slot->cookie;
	ring->ops->recycle(ring, (uint16_t)id);
	ring->stats.added++;
	ring->stats.got++;
	return *len > slot->in_len ? -EPROTO : 1;
}

bool fe_ring_irq_on(struct fe_ring *ring)
{
	ring->ops->irq_on(ring);
	/* Pairs with the device's, between its publishing and its decision whether to signal. */
	fe_barrier();
	return fe_ring_ready(ring);
}

void fe_ring_irq_off(struct fe_ring *ring)
{
	ring->ops->irq_off(ring);
}

bool fe_ring_signalled(struct fe_ring *ring)
{
	eventfd_t count;

	if (ring->call_fd < 0 || eventfd_read(ring->call_fd, &count) < 0)
		return false;
	ring->stats.signals++;
	ring->stats.interrupts += count;
	return true;
}

static int ring_poll(struct pollfd *fds, unsigned int num, int64_t deadline)
{
	int n;

	do {
		n = poll(fds, num, fe_deadline_left(deadline));
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -ETIMEDOUT;
}

/* Sleep until the fd is readable.  0, or -ETIMEDOUT. */
static int ring_sleep(int fd, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return ring_poll(&pfd, 1, deadline);
}

static bool rings_ready(struct fe_ring *const *rings, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++)
		if (fe_ring_ready(rings[i]))
			return true;
	return false;
}

/* Look at the rings until there is something. */
static int rings_spin(struct fe_ring *const *rings, unsigned int num, int64_t deadline)
{
	unsigned int i;

	do {
		for (i = 0; i < 1000; i++)
			if (rings_ready(rings, num))
				return 0;
		for (i = 0; i < num; i++)
			if (!ring_sleep(rings[i]->err_fd, 0))
				return -EIO;
	} while (fe_deadline_left(deadline));
	return -ETIMEDOUT;
}

/* Arm all rings; whether there is something already. */
static bool rings_irq_on(struct fe_ring *const *rings, unsigned int num)
{
	bool ready = false;
	unsigned int i;

	for (i = 0; i < num; i++)
		ready |= fe_ring_irq_on(rings[i]);
	return ready;
}

static int rings_sleep(struct fe_ring *const *rings, unsigned int num, int64_t deadline)
{
	struct pollfd fds[2 * FE_RINGS_MAX];
	bool signalled = false;
	unsigned int i;
	int err;

	for (i = 0; i < num; i++) {
		fds[2 * i] = (struct pollfd){ .fd = rings[i]->call_fd, .events = POLLIN };
		fds[2 * i + 1] = (struct pollfd){ .fd = rings[i]->err_fd, .events = POLLIN };
	}
	err = ring_poll(fds, 2 * num, deadline);
	for (i = 0; i < num; i++)
		signalled |= fe_ring_signalled(rings[i]);
	return err || signalled ? err : -EIO;
}

int fe_rings_wait(struct fe_ring *const *rings, unsigned int num, int timeout_ms)
{
	int64_t deadline = fe_deadline(timeout_ms);
	int err = 0;

	if (!num || num > FE_RINGS_MAX)
		return -EINVAL;
	if (rings[0]->flags & FE_RING_POLL)
		return rings_spin(rings, num, deadline);
	while (!rings_irq_on(rings, num)) {
		if (err)
			return err;
		err = rings_sleep(rings, num, deadline);
	}
	return 0;
}

int fe_ring_wait(struct fe_ring *ring, int timeout_ms)
{
	return fe_rings_wait(&ring, 1, timeout_ms);
}

int fe_ring_wait_signal(struct fe_ring *ring, int timeout_ms)
{
	int err = ring_sleep(ring->call_fd, fe_deadline(timeout_ms));

	if (!err)
		fe_ring_signalled(ring);
	return err;
}

int fe_ring_wait_err(struct fe_ring *ring, int timeout_ms)
{
	return ring_sleep(ring->err_fd, fe_deadline(timeout_ms));
}

uint32_t fe_ring_get_base(const struct fe_ring *ring)
{
	return ring->ops->get_base(ring);
}

/* The address of a ring's area, which is a user address unless there is an IOMMU. */
static uint64_t ring_area_addr(const struct fe_ring *ring, const void *area)
{
	return ring->iommu ? fe_iommu_addr(ring->iommu, area, 1) : fe_mem_uva(ring->mem, area, 1);
}

void fe_ring_get_addr(const struct fe_ring *ring, struct vu_vring_addr *addr)
{
	*addr = (struct vu_vring_addr){
		.index = ring->index,
		.desc = ring_area_addr(ring, ring->desc_area),
		.avail = ring_area_addr(ring, ring->driver_area),
		.used = ring_area_addr(ring, ring->device_area),
	};
}
