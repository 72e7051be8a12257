/* SPDX-License-Identifier: BSD-3-Clause */
/* What was negotiated, in words, for the log: one line in each connection's life. */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>

#include "internal.h"

#define WORDS_SIZE 256

struct word {
	unsigned int bit;
	const char *text;
};

static const struct word words_features[] = {
	{ VIRTIO_RING_F_EVENT_IDX, "event index" },
	{ VIRTIO_RING_F_INDIRECT_DESC, "indirect descriptors" },
	{ VIRTIO_F_IN_ORDER, "in order" },
	{ VIRTIO_F_ACCESS_PLATFORM, "IOMMU" },
};

static const struct word words_protocol[] = {
	{ VU_PROTOCOL_F_INFLIGHT_SHMFD, "requests survive a crash" },
	{ VU_PROTOCOL_F_LOG_SHMFD, "migration" },
	{ VU_PROTOCOL_F_PAGEFAULT, "postcopy" },
	{ VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS, "memory hotplug" },
	{ VU_PROTOCOL_F_BACKEND_REQ, "messages to the front-end" },
	{ VU_PROTOCOL_F_INBAND_NOTIFICATIONS, "notifications as messages" },
};

/* Add the words of these bits to the text; what does not fit is left out. */
static size_t words_add(char *text, size_t len, uint64_t bits, const struct word *words, size_t n)
{
	size_t i;

	for (i = 0; i < n && len < WORDS_SIZE; i++)
		if (bits & BIT(words[i].bit))
			len += (size_t)snprintf(text + len, WORDS_SIZE - len, ", %s", words[i].text);
	return len;
}

void words_log(struct vhost_dev *dev)
{
	char text[WORDS_SIZE] = "";
	size_t len;

	if (dev->conn.told)
		return;
	dev->conn.told = true;
	len = words_add(text, 0, dev->features, words_features, ARRAY_SIZE(words_features));
	words_add(text, len, dev->protocol_features, words_protocol, ARRAY_SIZE(words_protocol));
	dev_log(dev, VHOST_LOG_INFO, "front-end uses %s%s rings%s",
		dev->features & BIT(VIRTIO_F_VERSION_1) ? "" : "legacy ",
		dev->features & BIT(VIRTIO_F_RING_PACKED) ? "packed" : "split", text);
}
