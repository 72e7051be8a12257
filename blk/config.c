/* SPDX-License-Identifier: BSD-3-Clause */
/* What a virtio-blk driver is offered: features and config space (VIRTIO 5.2.3, 5.2.4). */
#include <endian.h>

#include "util.h"
#include "virtio_blk.h"

/* The ring which QEMU sets up unless told otherwise. */
#define CONFIG_USUAL_RING 128u

_Static_assert(offsetof(struct virtio_blk_config, unused1) + 3 == VIRTIO_BLK_CONFIG_LEN,
	       "the config space ends with the padding after write_zeroes_may_unmap");

uint64_t virtio_blk_features(const struct virtio_blk_params *params,
			     const struct storage_info *info)
{
	uint64_t f = BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_BLK_SIZE) |
		     BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_FLUSH) |
		     BIT(VIRTIO_BLK_F_CONFIG_WCE);

	if (params->queues > 1)
		f |= BIT(VIRTIO_BLK_F_MQ);
	if (info->read_only)
		return f | BIT(VIRTIO_BLK_F_RO);
	if (info->discard_max)
		f |= BIT(VIRTIO_BLK_F_DISCARD);
	return f | BIT(VIRTIO_BLK_F_WRITE_ZEROES);
}

static uint32_t config_sectors(uint64_t bytes)
{
	return htole32((uint32_t)MIN(bytes / VIRTIO_BLK_SECTOR, UINT32_MAX));
}

/*
 * A chain must not be longer than the ring (VIRTIO 2.7.5.3.1), and holds a header and a status
 * too.  The ring's size is not known yet: take the one that was asked for by name, else the
 * usual one.  The library takes 1024 descriptors of an indirect table, in longer rings too.
 */
static uint32_t config_seg_max(const struct virtio_blk_params *params)
{
	uint32_t ring = params->queue_size ? params->queue_size : CONFIG_USUAL_RING;

	return ring > 3 ? MIN(ring, 1024) - 2 : 1;
}

static void config_topology(struct virtio_blk_config *config, uint32_t block_size,
			    const struct storage_info *info)
{
	uint32_t physical = MAX(info->physical_block / block_size, 1u);

	config->physical_block_exp = (uint8_t)__builtin_ctz(physical);
	config->min_io_size = htole16((uint16_t)MIN(physical, UINT16_MAX));
	config->opt_io_size = htole32(info->opt_io / block_size);
}

void virtio_blk_fill_config(struct virtio_blk_config *config,
			    const struct virtio_blk_params *params,
			    const struct storage_info *info)
{
	*config = (struct virtio_blk_config){
		.capacity = htole64(info->size / VIRTIO_BLK_SECTOR),
		.seg_max = htole32(config_seg_max(params)),
		.blk_size = htole32(params->block_size),
		.wce = info->volatile_cache,
		.num_queues = htole16((uint16_t)params->queues),
	};
	config_topology(config, params->block_size, info);
	if (info->read_only)
		return;
	if (info->discard_max) {
		config->max_discard_sectors = config_sectors(info->discard_max);
		config->max_discard_seg = htole32(VIRTIO_BLK_RANGES_MAX);
		config->discard_sector_alignment = config_sectors(info->discard_align);
	}
	config->max_write_zeroes_sectors = config_sectors(info->zeroes_max);
	config->max_write_zeroes_seg = htole32(VIRTIO_BLK_RANGES_MAX);
	config->write_zeroes_may_unmap = info->zero_unmap;
}
