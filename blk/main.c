/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user-blk: a file or block device as a virtual machine's disk. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "daemons/control.h"
#include "daemons/daemon.h"
#include "virtio_blk.h"

#define WHY_SIZE 256

/* The state of a run; the options come first. */
struct blk {
	const char *file;		/* NULL: not given */
	bool read_only;
	enum storage_engine engine;
	enum storage_cache cache;
	uint64_t size;			/* bytes; 0: not given */
	unsigned int locking;		/* place in lockings */
	unsigned int block_size;	/* place in block_sizes */
	const char *serial;		/* NULL: not given */

	struct storage *storage;
	struct virtio_blk *device;
};

/* In the order of enum storage_engine and enum storage_cache. */
static const char *const engines[] = { "auto", "uring", "aio", "threads", "null", NULL };
static const char *const caches[] = { "writeback", "none", "writethrough", NULL };
static const char *const lockings[] = { "on", "off", NULL };
static const char *const block_sizes[] = { "512", "4096", NULL };
static const unsigned int block_size_of[] = { 512, 4096 };

static const char *const features[] = { "read-only", "blk-file", NULL };

#define FIELD(field) .offset = offsetof(struct blk, field)

static const struct option_def options[] = {
	{ "blk-file", OPTION_TEXT, FIELD(file), .arg = "PATH",
	  .help = "the image: a file or block device" },
	{ "read-only", OPTION_FLAG, FIELD(read_only),
	  .help = "the guest cannot change the image" },
	{ "locking", OPTION_CHOICE, FIELD(locking), .choices = lockings,
	  .help = "keep other processes off the image (default on)" },
	{ "engine", OPTION_CHOICE, FIELD(engine), .choices = engines,
	  .help = "how to reach the image (default auto); null: no image, for benchmarks" },
	{ "cache", OPTION_CHOICE, FIELD(cache), .choices = caches,
	  .help = "use of the page cache (default writeback)" },
	{ "size", OPTION_SIZE, FIELD(size), .arg = "BYTES", .min = 512, .max = INT64_MAX,
	  .help = "create the image if it is missing; size of --engine=null; with K, M, G or T" },
	{ "block-size", OPTION_CHOICE, FIELD(block_size), .choices = block_sizes,
	  .help = "the guest's logical block, in bytes (default 512)" },
	{ "serial", OPTION_TEXT, FIELD(serial), .arg = "TEXT", .max = VIRTIO_BLK_ID_BYTES,
	  .help = "the disk's serial number, up to 20 bytes" },
	{ 0 }
};

#undef FIELD

static const char *blk_conflict(const struct blk *blk)
{
	bool null = blk->engine == STORAGE_ENGINE_NULL;

	if (null && blk->file)
		return "--engine=null, --blk-file: this engine has no image";
	if (null && !blk->size)
		return "--engine=null: it needs --size";
	if (!null && !blk->file)
		return "--blk-file: it is required";
	if (!null && blk->size && blk->read_only)
		return "--size, --read-only: an image is not created read-only";
	if (blk->size % block_size_of[blk->block_size])
		return "--size: not a multiple of --block-size";
	return NULL;
}

static int blk_check(struct daemon_run *run)
{
	const char *why = blk_conflict(daemon_own(run));

	if (!why)
		return 0;
	daemon_err("%s", why);
	return -EINVAL;
}

static void blk_needs(struct daemon_run *run)
{
	const struct blk *blk = daemon_own(run);

	if (blk->file)
		daemon_need_image(run, blk->file, blk->read_only, blk->size);
}

static int blk_open(struct daemon_run *run)
{
	struct blk *blk = daemon_own(run);
	struct storage_params params = {
		.path = blk->file,
		.engine = blk->engine,
		.cache = blk->cache,
		.read_only = blk->read_only,
		.shared = blk->locking != 0,
		.size = blk->size,
		.block_size = block_size_of[blk->block_size],
	};
	char why[WHY_SIZE];
	int ret = storage_open(&blk->storage, &params, why, sizeof(why));

	if (!ret)
		return 0;
	if (blk->file)
		daemon_err("--blk-file=%s: %s", blk->file, why);
	else
		daemon_err("--engine=%s: %s", engines[blk->engine], why);
	return ret;
}

static void blk_connection(void *arg, bool up)
{
	daemon_connection(arg, up);
}

static void blk_io_error(void *arg, struct vhost_queue *q, const struct storage_io *io, int err)
{
	static const char *const ops[STORAGE_OPS] = {
		"read", "write", "flush", "discard", "write zeroes", "map",
	};

	(void)arg;
	vhost_queue_log(q, VHOST_LOG_ERR, "%s of %" PRIu64 " bytes at %" PRIu64 ": %s",
			ops[io->op], io->len, io->offset, strerror(-err));
}

static int blk_create(struct daemon_run *run, struct vhost_dev **dev)
{
	struct blk *blk = daemon_own(run);
	const struct daemon_conf *conf = daemon_conf(run);
	struct virtio_blk_params params = {
		.name = daemon_dev_name(run),
		.storage = blk->storage,
		.block_size = block_size_of[blk->block_size],
		.queues = conf->num_queues,
		.queue_size = conf->queue_size,
		.flags = daemon_dev_flags(conf) | VHOST_DEV_INFLIGHT,
		.features_off = daemon_dev_features_off(conf),
		.workers = conf->threads,
		.serial = blk->serial,
		.arg = run,
		.connection = blk_connection,
		.io_error = blk_io_error,
	};
	struct storage_info info;
	int ret = virtio_blk_new(&blk->device, &params);

	if (ret) {
		daemon_err("cannot make the device: %s", strerror(-ret));
		return ret;
	}
	storage_info(blk->storage, &info);
	*dev = virtio_blk_dev(blk->device);
	vhost_dev_log(*dev, VHOST_LOG_INFO, "%s: %" PRIu64 " bytes, engine %s, cache %s%s",
		      blk->file ? blk->file : "no image", info.size, info.engine,
		      caches[blk->cache], info.read_only ? ", read-only" : "");
	return 0;
}

static void blk_destroy(struct daemon_run *run)
{
	struct blk *blk = daemon_own(run);

	virtio_blk_free(blk->device);
}

static void blk_close(struct daemon_run *run, bool served)
{
	struct blk *blk = daemon_own(run);
	struct storage_info info;

	storage_info(blk->storage, &info);
	if (info.created && !served)
		unlink(blk->file);
	storage_close(blk->storage);
}

/*
 * For the control socket
 */

static void blk_status(struct daemon_run *run, struct json_object *status)
{
	const struct blk *blk = daemon_own(run);
	struct storage_info info;

	storage_info(blk->storage, &info);
	if (blk->file)
		json_add(status, "file", json_text(blk->file));
	json_add(status, "size", json_object_new_uint64(info.size));
	json_add(status, "engine", json_object_new_string(info.engine));
	json_add(status, "read-only", json_object_new_boolean(info.read_only));
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
	struct blk *blk = daemon_own(control_run(call));
	struct json_object *result;
	struct storage_info info;

	if (err) {
		control_fail(call, "%s", strerror(-err));
		return;
	}
	storage_info(blk->storage, &info);
	/* With --size, the image must have this size from now on. */
	if (blk->size)
		blk->size = info.size;
	vhost_dev_log(virtio_blk_dev(blk->device), VHOST_LOG_INFO, "resized to %" PRIu64 " bytes",
		      info.size);
	result = json_object_new_object();
	json_add(result, "size", json_object_new_uint64(info.size));
	control_reply(call, result);
}

static void method_resize(struct control_call *call, const void *values)
{
	const struct resize_params *params = values;
	const struct blk *blk = daemon_own(control_run(call));
	const struct storage_resize how = {
		.size = params->size,
		.control = daemon_control(control_run(call)),
		.done = blk_resized,
		.arg = call,
	};
	char why[WHY_SIZE];

	if (virtio_blk_resize(blk->device, &how, why, sizeof(why)))
		control_fail(call, "%s", why);
}

static const struct control_method methods[] = {
	{ "resize", "change the size of the image, which the guest sees at once", resize_params,
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

static void blk_queue_stats(struct daemon_run *run, unsigned int queue, uint64_t *values)
{
	const struct blk *blk = daemon_own(run);
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
