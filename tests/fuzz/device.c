/* SPDX-License-Identifier: BSD-3-Clause */
/* The device of the fuzz targets. */
#include "tests/fuzz/device.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fuzz_device *device_of(struct vhost_dev *dev)
{
	return vhost_dev_opaque(dev);
}

static int device_answer(struct vhost_dev *dev)
{
	return device_of(dev)->how & FUZZ_HOW_REFUSE ? -EPERM : 0;
}

/*
 * Requests
 */

static bool device_has(const struct fuzz_device *d, const struct iovec *iov)
{
	uintptr_t start = (uintptr_t)iov->iov_base;
	unsigned int i;

	for (i = 0; i < d->nregions; i++) {
		const struct iovec *r = &d->regions[i];
		uintptr_t off = start - (uintptr_t)r->iov_base;

		if (off < r->iov_len && iov->iov_len <= r->iov_len - off)
			return !d->allowed || d->allowed(d, r, iov);
	}
	return false;
}

static void device_check_iov(const struct fuzz_device *d, const struct iovec *iov,
			     unsigned int cnt, size_t len)
{
	size_t sum = 0;
	unsigned int i;

	for (i = 0; i < cnt; i++) {
		stepped_check(iov[i].iov_len);
		stepped_check(device_has(d, &iov[i]));
		sum += iov[i].iov_len;
	}
	stepped_check(sum == len && len <= UINT32_MAX);
}

static void device_check(const struct fuzz_device *d, const struct vhost_req *req)
{
	device_check_iov(d, req->out, req->out_cnt, req->out_len);
	device_check_iov(d, req->in, req->in_cnt, req->in_len);
}

void fuzz_device_check_held(const struct fuzz_device *d)
{
	unsigned int i, k;

	for (i = 0; i < FUZZ_QUEUES; i++) {
		for (k = 0; k < d->held[i].n; k++)
			device_check(d, d->held[i].req[k]);
	}
}

/* Copy a part of a request to and fro, by all ways that there are. */
static size_t device_work(struct vhost_req *req)
{
	const struct iovec *iov;
	unsigned int cnt, i;
	char buf[128];
	size_t n;

	memset(req->priv, 0x5a, 8);
	n = vhost_req_read(req, 0, buf, sizeof(buf));
	n = vhost_req_write(req, 0, buf, n);
	vhost_req_read(req, req->out_len / 2, buf, sizeof(buf));
	iov = vhost_req_slice(req, VHOST_IN, req->in_len / 3, req->in_len / 2, &cnt);
	for (i = 0; iov && i < cnt; i++)
		*(volatile uint8_t *)iov[i].iov_base = 1;
	return n;
}

static void device_complete(struct fuzz_device *d, struct vhost_req *req)
{
	struct vhost_queue *q = req->queue;

	device_check(d, req);
	vhost_req_push(req, device_work(req));
	if (d->how & FUZZ_HOW_FLUSH)
		vhost_queue_flush(q);
}

static struct fuzz_held *device_held(struct fuzz_device *d, const struct vhost_queue *q)
{
	return &d->held[vhost_queue_index(q)];
}

static void device_keep(struct fuzz_device *d, struct vhost_req *req)
{
	struct fuzz_held *h = device_held(d, req->queue);

	h->req[h->n++] = req;
	h->latest++;
}

/* Complete the i-th of those which are kept. */
static void device_release(struct fuzz_device *d, struct fuzz_held *h, unsigned int i)
{
	struct vhost_req *req = h->req[i];

	h->n--;
	memmove(&h->req[i], &h->req[i + 1], (h->n - i) * sizeof(h->req[0]));
	h->latest = MIN(h->latest, h->n - i);
	device_complete(d, req);
}

static void device_unpop(struct vhost_queue *q, struct fuzz_held *h, unsigned int n)
{
	n = MIN(n, h->latest);
	vhost_queue_unpop(q, n);
	h->n -= n;
	h->latest -= n;
}

static void device_kick(struct vhost_queue *q)
{
	struct fuzz_device *d = vhost_queue_opaque(q);
	struct fuzz_held *h = device_held(d, q);
	struct vhost_req *reqs[16];
	unsigned int want = d->how & FUZZ_HOW_ONE ? 1 : 16, n, i;
	bool hold = d->how & FUZZ_HOW_HOLD;

	do {
		if (hold)
			want = MIN(want, FUZZ_HELD - h->n);
		n = want ? vhost_queue_pop(q, reqs, want) : 0;
		stepped_check(n <= want);
		if (n && d->meanwhile)
			d->meanwhile(d);
		if (n && !hold)
			h->latest = 0;
		for (i = 0; i < n; i++)
			device_check(d, reqs[i]);
		for (i = 0; i < n; i++)
			hold ? device_keep(d, reqs[i]) : device_complete(d, reqs[i]);
	} while (n && n == want);
}

static int device_queue_start(struct vhost_queue *q)
{
	struct fuzz_device *d = vhost_queue_opaque(q);

	stepped_check(!device_held(d, q)->n);
	return d->how & FUZZ_HOW_REFUSE_START ? -EPERM : 0;
}

static void device_queue_stop(struct vhost_queue *q)
{
	struct fuzz_device *d = vhost_queue_opaque(q);
	struct fuzz_held *h = device_held(d, q);

	if (d->how & FUZZ_HOW_UNPOP)
		device_unpop(q, h, h->latest);
	while (h->n)
		device_release(d, h, h->n - 1);
	h->latest = 0;
}

/* The front-end does not want to wait: some are abandoned, others are done nevertheless. */
static void device_queue_cancel(struct vhost_queue *q)
{
	struct fuzz_device *d = vhost_queue_opaque(q);
	struct fuzz_held *h = device_held(d, q);
	unsigned int i;

	if (d->how & FUZZ_HOW_UNPOP)
		device_unpop(q, h, h->latest);
	for (i = 0; i < h->n; i++) {
		if (d->how & FUZZ_HOW_ABANDON_ALL || (d->how & FUZZ_HOW_ABANDON && i & 1))
			vhost_req_abandon(h->req[i]);
		else
			device_complete(d, h->req[i]);
	}
	h->n = h->latest = 0;
}

/*
 * The device as a whole
 */

static int device_features(struct vhost_dev *dev, uint64_t acked)
{
	(void)acked;
	return device_answer(dev);
}

static int device_set_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	uint8_t copy[FUZZ_CONFIG];

	stepped_check(off <= FUZZ_CONFIG && len <= FUZZ_CONFIG - off);
	memcpy(copy, buf, len);
	return device_answer(dev);
}

static int device_mem_map(struct vhost_dev *dev, void *va, size_t len)
{
	struct fuzz_device *d = device_of(dev);

	if (d->how & FUZZ_HOW_REFUSE_MEM)
		return -EPERM;
	stepped_check(len && d->nregions < FUZZ_REGIONS);
	d->regions[d->nregions++] = (struct iovec){ va, len };
	return 0;
}

static void device_mem_unmap(struct vhost_dev *dev, void *va, size_t len)
{
	struct fuzz_device *d = device_of(dev);
	unsigned int i;

	for (i = 0; i < d->nregions; i++) {
		if (d->regions[i].iov_base == va && d->regions[i].iov_len == len)
			break;
	}
	stepped_check(i < d->nregions);
	d->regions[i] = d->regions[--d->nregions];
}

static int device_save(struct vhost_dev *dev, void **buf, size_t *len)
{
	*len = 100;
	*buf = calloc(1, *len);
	return *buf ? device_answer(dev) : -ENOMEM;
}

static int device_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t i, sum = 0;

	for (i = 0; i < len; i++)
		sum += p[i];
	return sum == 0x1234 ? -EINVAL : device_answer(dev);
}

static int device_send_rarp(struct vhost_dev *dev, const uint8_t mac[6])
{
	return mac[0] & 1 ? -EINVAL : device_answer(dev);
}

static int device_set_mtu(struct vhost_dev *dev, uint16_t mtu)
{
	stepped_check(mtu >= 68);
	return device_answer(dev);
}

static int device_crypto_create(struct vhost_dev *dev, const void *session, size_t len,
				int64_t *id)
{
	const uint8_t *p = session;

	*id = len ? p[0] + p[len - 1] : 0;
	return device_answer(dev);
}

static int device_crypto_close(struct vhost_dev *dev, uint64_t id)
{
	(void)id;
	return device_answer(dev);
}

static int device_gpu_socket(struct vhost_dev *dev, int fd)
{
	stepped_check(!close(fd));
	return device_answer(dev);
}

static int device_shared_object(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev;
	return uuid[0] & 1 ? -ENOENT : STDERR_FILENO;
}

static const struct vhost_dev_ops device_ops = {
	.kick = device_kick,
	.queue_start = device_queue_start,
	.queue_stop = device_queue_stop,
	.queue_cancel = device_queue_cancel,
	.features = device_features,
	.set_config = device_set_config,
	.mem_map = device_mem_map,
	.mem_unmap = device_mem_unmap,
	.save = device_save,
	.load = device_load,
	.send_rarp = device_send_rarp,
	.set_mtu = device_set_mtu,
	.crypto_create = device_crypto_create,
	.crypto_close = device_crypto_close,
	.gpu_socket = device_gpu_socket,
	.shared_object = device_shared_object,
};

/*
 * What it does by itself
 */

static void device_done(void *arg, int result)
{
	(void)arg;
	if (result >= 0)
		close(result);
}

static void device_act_object(struct fuzz_device *d, uint8_t n)
{
	uint8_t uuid[16];

	input_bytes(&d->in, uuid, sizeof(uuid));
	if (n % 3 == 0)
		vhost_dev_shared_object_add(d->s.dev, uuid);
	else if (n % 3 == 1)
		vhost_dev_shared_object_remove(d->s.dev, uuid);
	else
		vhost_dev_shared_object_lookup(d->s.dev, uuid, device_done, NULL);
}

static void device_act_shmem(struct fuzz_device *d, uint8_t n)
{
	const struct vhost_shmem_map map = {
		.id = n & 3, .fd = STDERR_FILENO, .len = 4096, .offset = 4096 * (n >> 2 & 3),
	};

	if (n & 0x80)
		vhost_dev_host_notifier(d->s.dev, n & 3, n & 0x40 ? STDERR_FILENO : -1, 0);
	else if (n & 0x40)
		vhost_dev_shmem_map(d->s.dev, &map, NULL, NULL);
	else
		vhost_dev_shmem_unmap(d->s.dev, &map, NULL, NULL);
}

void fuzz_device_act(struct fuzz_device *d)
{
	uint8_t what = input_u8(&d->in), n = input_u8(&d->in);
	struct vhost_queue *q = vhost_dev_queue(d->s.dev, n % FUZZ_QUEUES);
	struct fuzz_held *h = device_held(d, q);

	n /= FUZZ_QUEUES;
	switch (what % 9) {
	case 0:
		d->how = (uint16_t)(n | input_u8(&d->in) << 7);
		break;
	case 1:
		if (h->n)
			device_release(d, h, n % h->n);
		break;
	case 2:
		while (h->n)
			device_release(d, h, n & 1 ? 0 : h->n - 1);
		break;
	case 3:
		device_unpop(q, h, n);
		break;
	case 4:
		vhost_queue_flush(q);
		break;
	case 5:
		vhost_queue_again(q);
		break;
	case 6:
		vhost_queue_fail(q, "%s", "because the fuzzer says so");
		break;
	case 7:
		vhost_dev_update_config(d->s.dev, n, "config", n % 7);
		break;
	default:
		n & 1 ? device_act_object(d, n >> 1) : device_act_shmem(d, n);
	}
}

/*
 * Life
 */

static void device_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhost_mem_fault(info->si_addr))
		signal(sig, SIG_DFL);
}

static void device_log(void *arg, enum vhost_log_level level, const char *line)
{
	(void)arg, (void)level;
	fprintf(stderr, "# %s\n", line);
}

static void device_once(void)
{
	const struct sigaction fault = { .sa_sigaction = device_fault, .sa_flags = SA_SIGINFO };
	static bool done;

	if (done)
		return;
	done = true;
	stepped_check(!sigaction(SIGBUS, &fault, NULL));
	if (getenv("FUZZ_LOG"))
		vhost_set_log(device_log, NULL);
}

void fuzz_device_start(struct fuzz_device *d, const uint8_t *data, size_t size)
{
	static const uint8_t config[FUZZ_CONFIG] = { 1, 2, 3, 4 };
	static const uint64_t shmem[2] = { 1 << 20, 4096 };
	const uint8_t first = size ? data[0] : 0;
	const struct vhost_dev_params params = {
		.name = "fuzz",
		.features = 0x3f,
		.queues = FUZZ_QUEUES,
		.config = config,
		.config_len = sizeof(config),
		.req_priv = 8,
		.shmem_sizes = shmem,
		.shmem_count = 2,
		.flags = VHOST_DEV_INFLIGHT | VHOST_DEV_IOMMU | VHOST_DEV_INBAND |
			 VHOST_DEV_HOST_NOTIFIER |
			 (first & FUZZ_FIRST_KICK_DISABLED ? VHOST_DEV_KICK_DISABLED : 0) |
			 (first & FUZZ_FIRST_IN_ORDER ? VHOST_DEV_IN_ORDER : 0),
	};

	device_once();
	memset(d, 0, sizeof(*d));
	d->in = (struct input){ data, size };
	d->first = input_u8(&d->in);
	d->fd_count = stepped_count_fds();
	stepped_start(&d->s, &device_ops, &params, d);
}

void fuzz_device_stop(struct fuzz_device *d)
{
	stepped_stop(&d->s);
	stepped_check(!d->nregions);
	stepped_check(stepped_count_fds() == d->fd_count);
}
