/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says about a block device. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "storage/file.h"

static bool blkdev_read_attr(const char *path, uint64_t *value)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	*value = strtoull(text, NULL, 10);
	return true;
}

/* An attribute of the queue, which a partition shares with its disk; 0 if there is none. */
static uint64_t blkdev_queue_attr(dev_t dev, const char *name)
{
	static const char *const where[] = { "queue", "../queue" };
	uint64_t value;
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 where[i], name);
		if (blkdev_read_attr(path, &value))
			return value;
	}
	return 0;
}

int blkdev_size(const struct file *f, uint64_t *size)
{
	return ioctl(f->fd, BLKGETSIZE64, size) ? -errno : 0;
}

int blkdev_describe(struct file *f, struct storage_info *info)
{
	unsigned int physical = 0, opt_io = 0;
	int logical = 0;
	struct stat sb;

	if (fstat(f->fd, &sb) || blkdev_size(f, &info->size) || ioctl(f->fd, BLKSSZGET, &logical))
		return -errno;
	if (!ioctl(f->fd, BLKPBSZGET, &physical))
		info->physical_block = physical;
	if (!ioctl(f->fd, BLKIOOPT, &opt_io))
		info->opt_io = opt_io;
	f->discard_unit = (unsigned int)logical;
	info->discard_align = (unsigned int)blkdev_queue_attr(sb.st_rdev, "discard_granularity");
	info->discard_max = blkdev_queue_attr(sb.st_rdev, "discard_max_bytes");
	info->zero_unmap = blkdev_queue_attr(sb.st_rdev, "write_zeroes_max_bytes") > 0;
	return 0;
}
