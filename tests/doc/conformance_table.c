/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Print what the library's own tables say, for doc/conformance.md: a line for each message of both
 * directions and for each feature bit, fields separated by tabs.
 *
 * What a feature's offer depends on is not written down anywhere: devices are made, one
 * for each flag, callback and parameter which could matter, and asked.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libvhost/backend.h"
#include "libvhost/proto.h"

/* A bit and its name in the standard. */
struct bit {
	unsigned int bit;
	const char *name;
};

static const struct bit protocol_bits[] = {
#define P(name) { VU_PROTOCOL_F_##name, "PROTOCOL_F_" #name }
	P(MQ), P(LOG_SHMFD), P(RARP), P(REPLY_ACK), P(NET_MTU), P(BACKEND_REQ), P(CROSS_ENDIAN),
	P(CRYPTO_SESSION), P(PAGEFAULT), P(CONFIG), P(BACKEND_SEND_FD), P(HOST_NOTIFIER),
	P(INFLIGHT_SHMFD), P(RESET_DEVICE), P(INBAND_NOTIFICATIONS), P(CONFIGURE_MEM_SLOTS),
	P(STATUS), P(XEN_MMAP), P(SHARED_OBJECT), P(DEVICE_STATE), P(GET_VRING_BASE_INFLIGHT),
	P(GPA_ADDRESSES), P(SHMEM), P(GET_VRING_BASE_SKIP_DRAIN),
#undef P
};

/* Those of rings and transport; 44 to 49 are reserved, the others the device type's. */
static const struct bit ring_bits[] = {
	{ 24, "VIRTIO_F_NOTIFY_ON_EMPTY" },
	{ 26, "VHOST_F_LOG_ALL" },
	{ 27, "VIRTIO_F_ANY_LAYOUT" },
	{ 28, "VIRTIO_F_INDIRECT_DESC" },
	{ 29, "VIRTIO_F_EVENT_IDX" },
	{ 30, "VHOST_USER_F_PROTOCOL_FEATURES" },
	{ 32, "VIRTIO_F_VERSION_1" },
	{ 33, "VIRTIO_F_ACCESS_PLATFORM" },
	{ 34, "VIRTIO_F_RING_PACKED" },
	{ 35, "VIRTIO_F_IN_ORDER" },
	{ 36, "VIRTIO_F_ORDER_PLATFORM" },
	{ 37, "VIRTIO_F_SR_IOV" },
	{ 38, "VIRTIO_F_NOTIFICATION_DATA" },
	{ 39, "VIRTIO_F_NOTIF_CONFIG_DATA" },
	{ 40, "VIRTIO_F_RING_RESET" },
};

/* Something about a device which may make it offer more. */
struct condition {
	const char *text;
	unsigned int flags;
	size_t ops[2];			/* offsets of callbacks in struct vhost_dev_ops, 0: none */
	bool config, shmem;
};

#define FLAG(name) { "flag `" #name "`", .flags = name }
#define OP(name) { "callback `" #name "`", .ops = { offsetof(struct vhost_dev_ops, name) } }
#define OPS(a, b) { "callbacks `" #a "` and `" #b "`", \
		    .ops = { offsetof(struct vhost_dev_ops, a), offsetof(struct vhost_dev_ops, b) } }

static const struct condition conditions[] = {
	{ "always" },
	FLAG(VHOST_DEV_KICK_DISABLED),
	FLAG(VHOST_DEV_INFLIGHT),
	FLAG(VHOST_DEV_IOMMU),
	FLAG(VHOST_DEV_IN_ORDER),
	FLAG(VHOST_DEV_INBAND),
	FLAG(VHOST_DEV_HOST_NOTIFIER),
	OP(queue_cancel),
	{ "flag `VHOST_DEV_INFLIGHT` and callback `queue_cancel`", .flags = VHOST_DEV_INFLIGHT,
	  .ops = { offsetof(struct vhost_dev_ops, queue_cancel) } },
	OP(set_config),
	OPS(save, load),
	OP(send_rarp),
	OP(set_mtu),
	OPS(crypto_create, crypto_close),
	OP(gpu_socket),
	OP(shared_object),
	{ "a config space", .config = true },
	{ "shared memory regions", .shmem = true },
};

#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

struct offer {
	uint64_t features, protocol;
};

static void set_callback(struct vhost_dev_ops *ops, size_t offset)
{
	/* Never called: the device is never attached. */
	if (offset)
		memset((char *)ops + offset, 1, sizeof(ops->kick));
}

static struct offer ask(const struct condition *c)
{
	static const uint64_t size = 1 << 20;
	static const uint8_t config[8];
	struct vhost_dev_ops ops = { 0 };
	struct vhost_dev_params params = { .flags = c->flags };
	struct vhost_dev *dev;
	struct offer offer;

	memset(&ops.kick, 1, sizeof(ops.kick));
	set_callback(&ops, c->ops[0]);
	set_callback(&ops, c->ops[1]);
	if (c->config) {
		params.config = config;
		params.config_len = sizeof(config);
	}
	if (c->shmem) {
		params.shmem_sizes = &size;
		params.shmem_count = 1;
	}
	if (vhost_dev_new(&dev, &ops, &params, NULL)) {
		fprintf(stderr, "cannot make a device: %s\n", c->text);
		exit(EXIT_FAILURE);
	}
	offer = (struct offer){ dev_features_offered(dev), proto_features_offered(dev) };
	vhost_dev_free(dev);
	return offer;
}

/* What makes a device offer one bit, of all the conditions; a part of a condition says it all. */
static void print_bit(const char *kind, const struct bit *b, const uint64_t offers[CONDITIONS])
{
	const char *separator = "";
	unsigned int single = 0;
	size_t i;

	printf("%s\t%s\t%u\t", kind, b->name, b->bit);
	for (i = 0; i < CONDITIONS; i++) {
		const struct condition *c = &conditions[i];

		if (!(offers[i] >> b->bit & 1) || (single && c->flags && c->ops[0]))
			continue;
		printf("%s%s", separator, c->text);
		separator = ", or ";
		single++;
		if (!i)
			break;
	}
	printf("%s\n", single ? "" : "never");
}

static void print_features(void)
{
	uint64_t features[CONDITIONS], protocol[CONDITIONS];
	size_t i;

	for (i = 0; i < CONDITIONS; i++) {
		struct offer offer = ask(&conditions[i]);

		features[i] = offer.features;
		protocol[i] = offer.protocol;
	}
	for (i = 0; i < sizeof(protocol_bits) / sizeof(protocol_bits[0]); i++)
		print_bit("protocol", &protocol_bits[i], protocol);
	for (i = 0; i < sizeof(ring_bits) / sizeof(ring_bits[0]); i++)
		print_bit("ring", &ring_bits[i], features);
}

/* The last field of a message's line. */
static void print_needs(uint32_t gates, bool iommu)
{
	const char *separator = "";
	size_t i;

	for (i = 0; i < sizeof(protocol_bits) / sizeof(protocol_bits[0]); i++) {
		if (gates >> protocol_bits[i].bit & 1) {
			printf("%s%s", separator, protocol_bits[i].name);
			separator = ", ";
		}
	}
	printf("%s\n", iommu ? "VIRTIO_F_ACCESS_PLATFORM" : "");
}

static void print_front_end_messages(void)
{
	unsigned int i;

	for (i = 0; i < VU_REQUEST_END; i++) {
		const struct proto_row *row = &proto_table[i];

		if (!row->fn)
			continue;
		printf("front\t%s\t%u\t%s\t", row->name, i, row->fn_name);
		print_needs(row->gates, row->flags & F_IOMMU);
	}
}

static void print_back_end_messages(void)
{
	unsigned int i;

	for (i = 0; i < VU_BACKEND_REQUEST_END; i++) {
		const struct backend_row *row = &backend_table[i];

		if (!row->name)
			continue;
		printf("back\tBACKEND_%s\t%u\t%s\t", row->name, i, row->fn_name);
		print_needs(row->gates, row->iommu);
	}
}

int main(void)
{
	print_front_end_messages();
	print_back_end_messages();
	print_features();
	return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
