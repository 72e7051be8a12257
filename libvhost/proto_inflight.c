/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of in-flight messages, and the mapping which they are about.
 *
 * The memory is a file which the front-end keeps, also when we crash.  It is mapped from
 * GET_INFLIGHT_FD on, where we make it, or from SET_INFLIGHT_FD on, which brings it back; each
 * replaces an earlier mapping, and since no ring runs then, nothing is in use.  A ring which
 * starts takes its part of it (inflight.h), and initialises it if it is new.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

void inflight_drop(struct vhost_dev *dev)
{
	struct inflight_map *m = &dev->inflight;

	if (m->addr) {
		mem_unwatch(m->addr);
		munmap(m->addr, m->len);
	}
	*m = (struct inflight_map){ 0 };
}

/* With or without the padding at its end. */
static bool inflight_whole(const struct msg *msg)
{
	return msg->header.size == VU_INFLIGHT_SIZE_MIN ||
	       msg->header.size == sizeof(struct vu_inflight);
}

/* What the message says about queues, and how much memory that needs; 0: it makes no sense. */
static uint64_t inflight_needed(const struct vhost_dev *dev, const struct vu_inflight *v)
{
	bool packed = dev->features & BIT(VIRTIO_F_RING_PACKED);

	if (!v->num_queues || v->num_queues > dev->nqueues || !v->queue_size ||
	    v->queue_size > dev->queue_size_max)
		return 0;
	return (uint64_t)v->num_queues * inflight_stride(packed, v->queue_size);
}

static bool inflight_all_valid(const struct inflight_map *m)
{
	unsigned int i;

	for (i = 0; i < m->queues; i++) {
		if (!inflight_valid(m->addr + i * m->stride, m->size))
			return false;
	}
	return true;
}

/* Map the memory, which the file has, and judge it. */
static int inflight_map_new(struct vhost_dev *dev, const struct vu_inflight *v, int fd,
			    struct inflight_map *m)
{
	size_t unit = mem_map_unit(fd);
	int ret;

	*m = (struct inflight_map){
		.len = ALIGN_UP(inflight_needed(dev, v), unit),
		.queues = v->num_queues,
		.size = v->queue_size,
		.packed = dev->features & BIT(VIRTIO_F_RING_PACKED),
	};
	m->stride = inflight_stride(m->packed, m->size);
	if (v->mmap_offset % unit)
		return -EINVAL;
	m->addr = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)v->mmap_offset);
	if (m->addr == MAP_FAILED)
		return -errno;
	ret = mem_watch(&dev->mem, m->addr, m->len);
	if (!ret && inflight_all_valid(m))
		return 0;
	mem_unwatch(m->addr);
	munmap(m->addr, m->len);
	return ret ? ret : -EINVAL;
}

/* From now on this mapping. */
static int inflight_use(struct vhost_dev *dev, const struct vu_inflight *v, int fd)
{
	struct inflight_map m;
	unsigned int i;
	int ret = inflight_map_new(dev, v, fd, &m);

	if (ret)
		return ret;
	inflight_drop(dev);
	dev->inflight = m;
	for (i = 0; i < dev->nqueues; i++)
		dev->rings[i].own_base = false;
	return 0;
}

/* A new file of this size, which nobody can truncate. */
static int inflight_create(uint64_t size)
{
	int fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, (off_t)size) ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)))
		close_fd(&fd);
	return fd;
}

/* A reply without fd and with mmap_size 0 says that there is none. */
int proto_get_inflight_fd(struct vhost_dev *dev, struct msg *msg)
{
	struct vu_inflight *v = &msg->payload.inflight;
	uint64_t needed = ring_setup_any_started(dev) ? 0 : inflight_needed(dev, v);
	int fd;

	if (!inflight_whole(msg))
		return -EINVAL;
	fd = needed ? inflight_create(needed) : -1;
	v->mmap_size = v->mmap_offset = 0;
	memset(v->padding, 0, sizeof(v->padding));
	if (fd < 0)
		return PROTO_REPLY;
	if (inflight_use(dev, v, fd)) {
		close_fd(&fd);
		return PROTO_REPLY;
	}
	v->mmap_size = needed;
	proto_reply_fd(dev, fd);
	return PROTO_REPLY;
}

/* Whether the file has what the message says. */
static bool inflight_in_file(const struct vu_inflight *v, int fd)
{
	struct stat st;
	uint64_t end;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       !add_overflows(v->mmap_offset, v->mmap_size, &end) && end <= (uint64_t)st.st_size;
}

int proto_set_inflight_fd(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_inflight *v = &msg->payload.inflight;
	uint64_t needed = inflight_needed(dev, v);

	if (ring_setup_any_started(dev))
		return -EBUSY;
	if (!inflight_whole(msg) || !needed || v->mmap_size < needed || !inflight_in_file(v, msg->fds[0]))
		return -EINVAL;
	return inflight_use(dev, v, msg->fds[0]);
}
