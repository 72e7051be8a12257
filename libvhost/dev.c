/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's life: creation, its control worker, sessions one after the other, the stop. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* VIRTIO's limit, and the protocol's: a ring's index has 8 bits where an fd comes along. */
#define QUEUES_MAX 256
#define QUEUE_SIZE_MAX 32768

#define DEVICE_FLAGS (VHOST_DEV_KICK_DISABLED | VHOST_DEV_INFLIGHT | VHOST_DEV_IOMMU | \
		      VHOST_DEV_IN_ORDER | VHOST_DEV_INBAND | VHOST_DEV_HOST_NOTIFIER | \
		      VHOST_DEV_LATENCY)

/* Bits of the device type (VIRTIO 2.2); the others are the library's. */
#define DEVICE_FEATURES ((BIT(24) - 1) | ~(BIT(50) - 1) | BIT(41) | BIT(42))

uint64_t dev_features_offered(const struct vhost_dev *dev)
{
	uint64_t f = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
		     BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_RING_RESET) |
		     BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_NOTIFY_ON_EMPTY) |
		     BIT(VU_F_LOG_ALL);

	if (dev->flags & VHOST_DEV_IOMMU)
		f |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	if (dev->flags & VHOST_DEV_IN_ORDER)
		f |= BIT(VIRTIO_F_IN_ORDER);
	return dev->device_features | (f & ~dev->features_off) | BIT(VU_F_PROTOCOL_FEATURES);
}

void dev_reset(struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++)
		ring_setup_reset(&dev->rings[i]);
	inflight_drop(dev);
	log_setup_exit(&dev->log);
	state_drop(dev);
	iotlb_memory_changed(dev, NULL);
	backend_reset(dev);
	dev->features = 0;
	dev->status = 0;
	memcpy(dev->config, dev->config_initial, sizeof(dev->config));
	if (dev->ops.reset)
		dev->ops.reset(dev);
}

/*
 * Memory
 */

static struct vhost_dev *dev_of_mem(struct mem *mem)
{
	return container_of(mem, struct vhost_dev, mem);
}

static int dev_mem_map(struct mem *mem, void *va, size_t len)
{
	struct vhost_dev *dev = dev_of_mem(mem);

	return dev->ops.mem_map ? dev->ops.mem_map(dev, va, len) : 0;
}

static void dev_mem_unmap(struct mem *mem, void *va, size_t len)
{
	struct vhost_dev *dev = dev_of_mem(mem);

	if (dev->ops.mem_unmap)
		dev->ops.mem_unmap(dev, va, len);
}

static void dev_mem_settled(struct mem *mem)
{
	conn_memory_settled(dev_of_mem(mem));
}

static void dev_mem_lost(struct mem *mem)
{
	conn_close(dev_of_mem(mem), "shared memory was truncated");
}

static const struct mem_ops dev_mem_ops = {
	.map = dev_mem_map,
	.unmap = dev_mem_unmap,
	.settled = dev_mem_settled,
	.lost = dev_mem_lost,
};

/*
 * Sessions
 */

int dev_set_control(struct vhost_dev *dev, struct vhost_worker *control)
{
	unsigned int i;
	int ret;

	if (dev->control)
		return -EBUSY;
	ret = mem_init(&dev->mem, &dev_mem_ops, control);
	if (ret)
		return ret;
	dev->control = control;
	for (i = 0; i < dev->nqueues; i++) {
		struct vhost_queue *q = &dev->queues[i];

		q->control = control;
		if (!q->worker)
			q->worker = control;
	}
	return 0;
}

void dev_clear_control(struct vhost_dev *dev)
{
	mem_exit(&dev->mem);
	dev_log_stop(dev);
	dev->control = NULL;
}

static void dev_stopped(struct vhost_work *work)
{
	struct vhost_dev *dev = container_of(work, struct vhost_dev, stop_work);

	dev_clear_control(dev);
	dev->stopping = false;
	dev->stop_done(dev, dev->stop_arg);
}

void dev_session_ended(struct vhost_dev *dev)
{
	unsigned int i;

	dev_log_end(dev);
	for (i = 0; i < dev->nqueues; i++)
		ring_setup_exit(&dev->rings[i]);
	dev->protocol_features = 0;
	/* The next session has done nothing to the memory of this one. */
	mem_forget_faults(&dev->mem);
	dev_reset(dev);
	if (dev->ops.connection)
		dev->ops.connection(dev, false);
	/* Not before: a stop from these callbacks finds that the end is under way. */
	dev->conn.closing = false;
	if (dev->stopping)
		vhost_worker_post(dev->control, &dev->stop_work);
	else
		endpoint_next(dev);
}

void vhost_dev_stop(struct vhost_dev *dev, void (*done)(struct vhost_dev *dev, void *arg),
		    void *arg)
{
	if (!dev->control) {
		done(dev, arg);
		return;
	}
	if (dev->stopping)
		return;
	dev->stopping = true;
	dev->stop_done = done;
	dev->stop_arg = arg;
	dev->stop_work.fn = dev_stopped;
	endpoint_close(dev);
	if (dev->conn.fd >= 0)
		conn_close(dev, NULL);
	else if (!dev->conn.closing)
		vhost_worker_post(dev->control, &dev->stop_work);
}

/*
 * Creation
 */

static bool dev_params_valid(const struct vhost_dev_ops *ops, const struct vhost_dev_params *p)
{
	return ops->kick && !ops->save == !ops->load && !ops->crypto_create == !ops->crypto_close &&
	       p->shmem_count <= VU_SHMEM_REGIONS_MAX && (p->shmem_sizes || !p->shmem_count) &&
	       p->queues <= QUEUES_MAX && p->queue_size_max <= QUEUE_SIZE_MAX &&
	       p->config_len <= VU_CONFIG_MAX && (p->config || !p->config_len) &&
	       !(p->features & ~DEVICE_FEATURES) && !(p->flags & ~DEVICE_FLAGS) &&
	       p->req_priv <= UINT16_MAX;
}

static int dev_alloc_queues(struct vhost_dev *dev, size_t req_priv)
{
	unsigned int i;

	dev->queues = calloc(dev->nqueues, sizeof(dev->queues[0]));
	dev->rings = calloc(dev->nqueues, sizeof(dev->rings[0]));
	if (!dev->queues || !dev->rings)
		return -ENOMEM;
	for (i = 0; i < dev->nqueues; i++) {
		ring_setup_init(&dev->rings[i]);
		queue_init(&dev->queues[i], &(struct queue_params){
			.dev = dev,
			.ops = &dev->ops,
			.name = dev->name,
			.log_limit = &dev->log_limit,
			.index = i,
			.req_priv = req_priv,
			.serve_disabled = dev->flags & VHOST_DEV_KICK_DISABLED,
			.timed = dev->flags & VHOST_DEV_LATENCY,
			.news = ring_setup_news,
		});
	}
	return 0;
}

static int dev_take_params(struct vhost_dev *dev, const struct vhost_dev_params *p)
{
	size_t shmem_size = p->shmem_count * sizeof(p->shmem_sizes[0]);

	dev->device_features = p->features;
	dev->nqueues = p->queues ? p->queues : 1;
	dev->queue_num = p->queue_num ? p->queue_num : dev->nqueues;
	dev->queue_size_max = p->queue_size_max ? p->queue_size_max : 1024;
	dev->flags = p->flags;
	dev->config_len = (uint32_t)p->config_len;
	if (p->config_len)
		memcpy(dev->config_initial, p->config, p->config_len);
	memcpy(dev->config, dev->config_initial, sizeof(dev->config));
	dev->features_off = p->features_off;
	dev->name = strdup(p->name ? p->name : "vhost");
	dev->shmem_count = p->shmem_count;
	dev->shmem_sizes = malloc(MAX(shmem_size, 1u));
	if (!dev->name || !dev->shmem_sizes)
		return -ENOMEM;
	if (shmem_size)
		memcpy(dev->shmem_sizes, p->shmem_sizes, shmem_size);
	return 0;
}

int vhost_dev_new_sized(struct vhost_dev **result, const struct vhost_dev_ops *ops,
			size_t ops_size, const struct vhost_dev_params *params, size_t params_size,
			void *opaque)
{
	struct vhost_dev_params p = { 0 };
	struct vhost_dev *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	/* A program built against an older header has shorter structures. */
	memcpy(&dev->ops, ops, MIN(ops_size, sizeof(dev->ops)));
	memcpy(&p, params, MIN(params_size, sizeof(p)));
	dev->opaque = opaque;
	dev->conn.fd = dev->backend.fd = dev->endpoint.listen_fd = dev->mem.fault_fd = -1;
	dev->state.fd = -1;
	log_limit_init(&dev->log_limit);
	log_setup_init(&dev->log);
	postcopy_init(&dev->postcopy);
	if (!dev_params_valid(&dev->ops, &p)) {
		free(dev);
		return -EINVAL;
	}
	if (dev_take_params(dev, &p) || dev_alloc_queues(dev, p.req_priv) ||
	    (p.flags & VHOST_DEV_IOMMU && iotlb_init(&dev->iotlb))) {
		vhost_dev_free(dev);
		return -ENOMEM;
	}
	*result = dev;
	return 0;
}

void vhost_dev_free(struct vhost_dev *dev)
{
	iotlb_exit(&dev->iotlb);
	free(dev->queues);
	free(dev->rings);
	free(dev->shmem_sizes);
	free(dev->name);
	log_limit_exit(&dev->log_limit);
	free(dev);
}

int vhost_dev_bind(struct vhost_dev *dev, struct vhost_worker *const *workers, unsigned int n)
{
	unsigned int i;

	if (!n)
		return -EINVAL;
	if (dev->control)
		return -EBUSY;
	for (i = 0; i < dev->nqueues; i++)
		dev->queues[i].worker = workers[i % n];
	return 0;
}

/*
 * The rest
 */

int vhost_dev_update_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	if (off > dev->config_len || len > dev->config_len - off)
		return -EINVAL;
	memcpy(dev->config + off, buf, len);
	memcpy(dev->config_initial + off, buf, len);
	backend_config_changed(dev);
	return 0;
}

struct vhost_queue *vhost_dev_queue(struct vhost_dev *dev, unsigned int i)
{
	return i < dev->nqueues ? &dev->queues[i] : NULL;
}

void *vhost_dev_opaque(const struct vhost_dev *dev)
{
	return dev->opaque;
}

const char *vhost_dev_name(const struct vhost_dev *dev)
{
	return dev->name;
}

uint64_t vhost_dev_features(const struct vhost_dev *dev)
{
	return dev->features;
}

void vhost_dev_stats(const struct vhost_dev *dev, struct vhost_dev_stats *stats)
{
	*stats = dev->stats;
}
