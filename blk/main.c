/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user-blk: a file or block device as a virtual machine's disk. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemons/control.h"
#include "daemons/daemon.h"
#include "daemons/image.h"
#include "virtio_blk.h"

/* The state of a run; the options come first. */
struct blk {
	struct image_options image;

	struct storage *storage;
	struct virtio_blk *device;
};

static const char *const features[] = { "read-only", "blk-file", NULL };

_Static_assert(IMAGE_SERIAL_MAX == VIRTIO_BLK_ID_BYTES, "a serial number fits");

static const struct option_def options[] = {
	IMAGE_OPTIONS(struct blk, "blk-file", "--"),
	{ 0 }
};

static int blk_check(struct daemon_device *device)
{
	static const struct image_names names = { .dashes = "--", .file = "blk-file" };
	const struct blk *blk = daemon_own(device);
	char why[IMAGE_WHY_SIZE];
	int ret = image_check(&blk->image, &names, image_block_size(&blk->image), why);

	if (ret)
		device_err(device, "%s", why);
	return ret;
}

static void blk_needs(struct daemon_device *device)
{
	const struct blk *blk = daemon_own(device);

	image_need(device, &blk->image);
}

static int blk_open(struct daemon_device *device)
{
	struct blk *blk = daemon_own(device);
	char why[IMAGE_WHY_SIZE];
	int ret = image_open(&blk->storage, &blk->image, NULL, why);

	if (ret && blk->image.file)
		device_err(device, "--blk-file=%s: %s", blk->image.file, why);
	else if (ret)
		device_err(device, "--engine=%s: %s", image_engines[blk->image.engine], why);
	return ret;
}

static void blk_connection(void *arg, bool up)
{
	daemon_connection(arg, up);
}

static void blk_io_error(void *arg, struct vhost_queue *q, const struct storage_io *io, int err)
{
	(void)arg;
	image_io_error(q, "", io, err);
}

static int blk_create(struct daemon_device *device, struct vhost_dev **dev)
{
	struct blk *blk = daemon_own(device);
	const struct daemon_conf *conf = daemon_conf(device);
	struct virtio_blk_params params = {
		.name = daemon_dev_name(device),
		.storage = blk->storage,
		.block_size = image_block_size(&blk->image),
		.queues = conf->num_queues,
		.queue_size = conf->queue_size,
		.flags = daemon_dev_flags(device) | VHOST_DEV_INFLIGHT,
		.features_off = daemon_dev_features_off(device),
		.serial = blk->image.serial,
		.arg = device,
		.connection = blk_connection,
		.io_error = blk_io_error,
	};
	char about[IMAGE_TEXT_SIZE];
	int ret;

	daemon_workers(device, &params.workers);
	ret = virtio_blk_new(&blk->device, &params);
	if (ret) {
		device_err(device, "cannot make the device: %s", strerror(-ret));
		return ret;
	}
	image_tell(blk->storage, &blk->image, about);
	device_log(device, VHOST_LOG_INFO, "%s: %s", blk->image.file ? blk->image.file : "no image",
		   about);
	*dev = virtio_blk_dev(blk->device);
	return 0;
}

static void blk_destroy(struct daemon_device *device)
{
	struct blk *blk = daemon_own(device);

	virtio_blk_free(blk->device);
}

static void blk_close(struct daemon_device *device, bool served)
{
	struct blk *blk = daemon_own(device);

	image_close(blk->storage, &blk->image, served);
}

/*
 * For the control socket
 */

static void blk_status(struct daemon_device *device, struct json_object *status)
{
	const struct blk *blk = daemon_own(device);

	image_status(blk->storage, &blk->image, status);
}

struct resize_params {
	uint64_t size;			/* bytes; 0: not given */
};

static const struct option_def resize_params[] = {
	{ "size", OPTION_SIZE, offsetof(struct resize_params, size), .min = 512, .max = INT64_MAX,
	  .help = "bytes, also with K, M, G or T; without it, what the image has by now" },
	{ 0 }
};

static void blk_resized(void *arg, int err)
{
	struct control_call *call = arg;
	struct blk *blk = daemon_own(control_device(call));
	struct json_object *result;
	struct storage_info info;

	if (err) {
		control_fail(call, "%s", strerror(-err));
		return;
	}
	storage_info(blk->storage, &info);
	/* With --size, the image must have this size from now on. */
	if (blk->image.size)
		blk->image.size = info.size;
	device_log(control_device(call), VHOST_LOG_INFO, "resized to %" PRIu64 " bytes", info.size);
	result = json_object_new_object();
	json_add(result, "size", json_object_new_uint64(info.size));
	control_reply(call, result);
}

static void method_resize(struct control_call *call, const void *values)
{
	const struct resize_params *params = values;
	const struct blk *blk = daemon_own(control_device(call));
	const struct storage_resize how = {
		.size = params->size,
		.control = daemon_control(control_device(call)),
		.done = blk_resized,
		.arg = call,
	};
	char why[IMAGE_WHY_SIZE];

	if (virtio_blk_resize(blk->device, &how, why, sizeof(why)))
		control_fail(call, "%s", why);
}

static const struct control_method methods[] = {
	{ "resize", "change the size of the image, which the guest sees at once", CONTROL_DEVICE, resize_params,
	  sizeof(struct resize_params), .fn = method_resize },
	{ 0 }
};

static const char *const counters[] = {
	"malformed",
	"reads", "read_bytes", "read_errors",
	"writes", "write_bytes", "write_errors",
	"flushes", "flush_errors",
	"discards", "discard_bytes", "discard_errors",
	"write_zeroes", "write_zeroes_bytes", "write_zeroes_errors", NULL
};

static void blk_queue_stats(struct daemon_device *device, unsigned int queue, uint64_t *values)
{
	const struct blk *blk = daemon_own(device);
	struct virtio_blk_stats stats;
	enum storage_op op;

	virtio_blk_stats(blk->device, queue, &stats);
	*values++ = stats.malformed;
	/* No driver can ask for the one behind. */
	for (op = 0; op <= STORAGE_WRITE_ZEROES; op++) {
		*values++ = stats.ops[op];
		if (op != STORAGE_FLUSH)
			*values++ = stats.bytes[op];
		*values++ = stats.errors[op];
	}
}

int main(int argc, char **argv)
{
	static const struct daemon blk_daemon = {
		.name = "vhost-user-blk",
		.summary = "A file or block device as a virtual machine's disk, over vhost-user.",
		.type = "block",
		.features = features,
		.options = options,
		.own_size = sizeof(struct blk),
		.queues = &daemon_request_queues,
		.check = blk_check,
		.needs = blk_needs,
		.open = blk_open,
		.create = blk_create,
		.destroy = blk_destroy,
		.close = blk_close,
		.methods = methods,
		.status = blk_status,
		.counters = counters,
		.queue_stats = blk_queue_stats,
		.pauses = true,
		/* A header and a status. */
		.overhead = sizeof(struct virtio_blk_outhdr) + 1,
	};

	return daemon_main(&blk_daemon, argc, argv);
}
