/* SPDX-License-Identifier: BSD-3-Clause */
/* See bad_ring.h. */
#include "tests/tools/bad_ring.h"

#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
	struct vu_region region;
	uint8_t *mem;			/* its mapping; NULL: none */
	size_t mapped;
	uint32_t size;			/* entries */
	struct vu_vring_addr addr;
	uint16_t seen, used;		/* the next entries of both rings */
	int kick, call;
} ring = { .kick = -1, .call = -1 };

static const char *const modes[] = { "alien", "twice", "long", "mute", "jump", "dies" };

bool bad_ring_serves(const char *mode)
{
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (!strcmp(modes[i], mode))
			return true;
	return false;
}

static void ring_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void bad_ring_reset(void)
{
	if (ring.mem)
		munmap(ring.mem, ring.mapped);
	ring_close(&ring.kick);
	ring_close(&ring.call);
	memset(&ring, 0, sizeof(ring));
	ring.kick = ring.call = -1;
}

static void ring_map(const struct vu_memory *memory, int fd)
{
	void *mem;

	ring.region = memory->regions[0];
	ring.mapped = ring.region.size + ring.region.mmap_offset;
	mem = mmap(NULL, ring.mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ring.mem = mem == MAP_FAILED ? NULL : mem;
}

void bad_ring_message(const struct vu_header *hdr, const void *payload, int fd)
{
	const struct vu_vring_state *state = payload;

	switch (hdr->request) {
	case VU_SET_MEM_TABLE:
		ring_map(payload, fd);
		break;
	case VU_SET_VRING_NUM:
		ring.size = state->num;
		break;
	case VU_SET_VRING_ADDR:
		memcpy(&ring.addr, payload, sizeof(ring.addr));
		break;
	case VU_SET_VRING_KICK:
		ring_close(&ring.kick);
		ring.kick = fd;
		return;
	case VU_SET_VRING_CALL:
		ring_close(&ring.call);
		ring.call = fd;
		return;
	default:
		break;
	}
	if (fd >= 0)
		close(fd);
}

int bad_ring_kick_fd(void)
{
	return ring.kick;
}

static void *ring_at(uint64_t user)
{
	return ring.mem + ring.region.mmap_offset + (user - ring.region.user_addr);
}

/* The bytes which the last descriptor of the chain has room for; that is the status. */
static void ring_put_status(uint16_t id, uint8_t status)
{
	const struct vring_desc *desc = ring_at(ring.addr.desc);

	while (desc[id].flags & VRING_DESC_F_NEXT)
		id = desc[id].next;
	*(ring.mem + ring.region.mmap_offset + (desc[id].addr - ring.region.guest_addr)) = status;
}

static void ring_use(uint32_t id, uint32_t len)
{
	struct vring_used *used = ring_at(ring.addr.used);

	used->ring[ring.used++ % ring.size] = (struct vring_used_elem){ .id = id, .len = len };
}

/* Each is used with success, but for what the mode is about. */
static void ring_serve(const char *mode, uint16_t id)
{
	if (strcmp(mode, "mute"))
		ring_put_status(id, 0);
	ring_use(strcmp(mode, "alien") ? id : ring.size + 7,
		 strcmp(mode, "long") ? 4097 : 1 << 20);
	if (!strcmp(mode, "twice"))
		ring_use(id, 4097);
}

bool bad_ring_kicked(const char *mode)
{
	struct vring_avail *avail = ring_at(ring.addr.avail);
	struct vring_used *used = ring_at(ring.addr.used);
	eventfd_t n;

	if (eventfd_read(ring.kick, &n) || !strcmp(mode, "dies"))
		return false;
	while (ring.seen != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE))
		ring_serve(mode, avail->ring[ring.seen++ % ring.size]);
	if (!strcmp(mode, "jump"))
		ring.used = (uint16_t)(ring.used + 2 * ring.size);
	__atomic_store_n(&used->idx, ring.used, __ATOMIC_RELEASE);
	if (ring.call >= 0)
		eventfd_write(ring.call, 1);
	return true;
}
