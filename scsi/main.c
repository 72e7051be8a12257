/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user-scsi: SCSI targets with any number of units for a virtual machine. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <scsi/sg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemons/daemon.h"
#include "virtio_scsi.h"
#include "util.h"

#define WHY_SIZE 256
#define SERIAL_MAX 20

/* A unit; what --lun can say of it comes first. */
struct unit {
	const char *file;		/* NULL: not given */
	bool read_only, cdrom;
	enum storage_engine engine;
	enum storage_cache cache;
	uint64_t size;			/* bytes; 0: not given */
	unsigned int locking;		/* place in lockings */
	unsigned int block_size;	/* place in block_sizes */
	const char *serial;		/* NULL: not given */
	const char *passthrough;	/* likewise */
	const char *reservations;	/* likewise */

	char *text;			/* into which these point; changed by the parser */
	const char *name;		/* how --lun has it */
	struct scsi_address address;
	struct storage *storage;	/* NULL: passthrough */
	bool shares;			/* it is another unit's */
};

/* The state of a run; the options come first. */
struct scsi {
	struct option_list luns;

	struct unit *units;		/* [luns.num] */
	struct virtio_scsi *device;
};

/* In the order of enum storage_engine and enum storage_cache. */
static const char *const engines[] = { "auto", "uring", "aio", "threads", "null", NULL };
static const char *const caches[] = { "writeback", "none", "writethrough", NULL };
static const char *const lockings[] = { "on", "off", NULL };
static const char *const block_sizes[] = { "512", "4096", NULL };
static const unsigned int block_size_of[] = { 512, 4096 };

/* As QEMU's vhost-user.json knows them: none for this type of device. */
static const char *const features[] = { NULL };

#define FIELD(field) .offset = offsetof(struct unit, field)

static const struct option_def unit_keys[] = {
	{ "file", OPTION_TEXT, FIELD(file), .arg = "PATH",
	  .help = "the image: a file or block device" },
	{ "read-only", OPTION_FLAG, FIELD(read_only),
	  .help = "the guest cannot change the image" },
	{ "cdrom", OPTION_FLAG, FIELD(cdrom), .help = "a CD-ROM instead of a disk" },
	{ "locking", OPTION_CHOICE, FIELD(locking), .choices = lockings,
	  .help = "keep other processes off the image (default on)" },
	{ "engine", OPTION_CHOICE, FIELD(engine), .choices = engines,
	  .help = "how to reach the image (default auto); null: no image, for benchmarks" },
	{ "cache", OPTION_CHOICE, FIELD(cache), .choices = caches,
	  .help = "use of the page cache (default writeback)" },
	{ "size", OPTION_SIZE, FIELD(size), .arg = "BYTES", .min = 512, .max = INT64_MAX,
	  .help = "create the image if it is missing; size of engine=null; with K, M, G or T" },
	{ "block-size", OPTION_CHOICE, FIELD(block_size), .choices = block_sizes,
	  .help = "the guest's logical block, in bytes (default 512)" },
	{ "serial", OPTION_TEXT, FIELD(serial), .arg = "TEXT", .max = SERIAL_MAX,
	  .help = "the unit's serial number, up to 20 bytes" },
	{ "reservations", OPTION_TEXT, FIELD(reservations), .arg = "PATH",
	  .help = "file which keeps persistent reservations" },
	{ "passthrough", OPTION_TEXT, FIELD(passthrough), .arg = "PATH",
	  .help = "a SCSI device of the host, /dev/sgN, instead of an image" },
	{ 0 }
};

#undef FIELD

static const struct option_def options[] = {
	{ "lun", OPTION_LIST, .offset = offsetof(struct scsi, luns), .arg = "[TARGET:]LUN,...",
	  .keys = unit_keys, .help = "a unit, 0 to 16383, of a target, 0 to 255 (default 0):" },
	{ 0 }
};

/*
 * Options
 */

/* A decimal number up to max at *text, which moves behind it; -1: there is none. */
static int unit_number(char **text, unsigned int max)
{
	unsigned long n;

	if (!isdigit((unsigned char)**text))
		return -1;
	errno = 0;
	n = strtoul(*text, text, 10);
	return errno || n > max ? -1 : (int)n;
}

/* "TARGET:LUN", or "LUN"; what follows behind a comma goes to *rest. */
static const char *unit_parse_address(struct unit *u, char **rest)
{
	char *text = u->text;
	int n = unit_number(&text, SCSI_LUNS_MAX - 1);

	if (n >= 0 && *text == ':') {
		if (n >= SCSI_TARGETS_MAX)
			return "the target is not in the range from 0 to 255";
		u->address.target = (uint8_t)n;
		text++;
		n = unit_number(&text, SCSI_LUNS_MAX - 1);
	}
	if (n < 0 || (*text && *text != ','))
		return "it does not begin with [TARGET:]LUN, a LUN from 0 to 16383";
	u->address.lun = (uint16_t)n;
	*rest = *text ? text + 1 : NULL;
	return NULL;
}

static const char *unit_conflict(const struct unit *u)
{
	bool null = u->engine == STORAGE_ENGINE_NULL;

	if (u->passthrough && (u->file || u->read_only || u->cdrom || u->engine || u->cache ||
			       u->size || u->block_size || u->serial || u->reservations))
		return "passthrough: the device has all other properties itself";
	if (u->passthrough)
		return NULL;
	if (null && u->file)
		return "engine=null, file: this engine has no image";
	if (null && !u->size)
		return "engine=null: it needs size";
	if (!null && !u->file)
		return "file: it is required";
	if (!null && u->size && (u->read_only || u->cdrom))
		return "size, read-only: an image is not created read-only";
	if (u->cdrom && u->block_size)
		return "cdrom, block-size: its block has 2048 bytes";
	if (u->size % (u->cdrom ? 2048 : block_size_of[u->block_size]))
		return "size: not a multiple of block-size";
	return NULL;
}

/* The earlier one at the same address, or NULL. */
static const struct unit *unit_rival(const struct scsi *scsi, const struct unit *u)
{
	const struct unit *other;

	for (other = scsi->units; other < u; other++)
		if (other->address.target == u->address.target &&
		    other->address.lun == u->address.lun)
			return other;
	return NULL;
}

static const char *unit_parse(const struct scsi *scsi, struct unit *u, char why[OPTION_WHY_SIZE])
{
	struct option_table table = { .defs = unit_keys, .values = u };
	const char *wrong;
	char *keys;

	u->text = strdup(u->name);
	if (!u->text)
		return strerror(ENOMEM);
	wrong = unit_parse_address(u, &keys);
	if (wrong)
		return wrong;
	if (keys && options_parse_keys(&table, keys, why))
		return why;
	return unit_rival(scsi, u) ? "there is such a unit already" : unit_conflict(u);
}

static int scsi_check(struct daemon_run *run)
{
	struct scsi *scsi = daemon_own(run);
	char buf[OPTION_WHY_SIZE];
	const char *why = NULL;
	unsigned int i;

	if (daemon_conf(run)->num_queues > VIRTIO_SCSI_QUEUES_MAX) {
		daemon_err("--num-queues=%u: not in the range from 1 to %u",
			   daemon_conf(run)->num_queues, VIRTIO_SCSI_QUEUES_MAX);
		return -EINVAL;
	}
	if (!scsi->luns.num) {
		daemon_err("--lun: it is required");
		return -EINVAL;
	}
	scsi->units = calloc(scsi->luns.num, sizeof(scsi->units[0]));
	if (!scsi->units)
		return -ENOMEM;
	for (i = 0; !why && i < scsi->luns.num; i++) {
		scsi->units[i].name = scsi->luns.values[i];
		why = unit_parse(scsi, &scsi->units[i], buf);
	}
	if (!why)
		return 0;
	daemon_err("--lun=%s: %s", scsi->units[i - 1].name, why);
	return -EINVAL;
}

static void scsi_forget(struct daemon_run *run)
{
	struct scsi *scsi = daemon_own(run);
	unsigned int i;

	for (i = 0; scsi->units && i < scsi->luns.num; i++)
		free(scsi->units[i].text);
	free(scsi->units);
	option_list_free(&scsi->luns);
}

/*
 * Images
 */

/* Whether the image of the one can be that of the other. */
static bool unit_same_image(const struct unit *a, const struct unit *b)
{
	return a->storage && a->file && b->file && !strcmp(a->file, b->file) &&
	       a->engine == b->engine && a->cache == b->cache && a->locking == b->locking &&
	       a->block_size == b->block_size && a->size == b->size && a->cdrom == b->cdrom &&
	       a->read_only == b->read_only;
}

static bool unit_share(const struct scsi *scsi, struct unit *u)
{
	const struct unit *other;

	for (other = scsi->units; other < u; other++) {
		if (!unit_same_image(other, u))
			continue;
		u->storage = other->storage;
		u->shares = true;
		return true;
	}
	return false;
}

static int unit_open(const struct scsi *scsi, struct unit *u)
{
	const struct storage_params params = {
		.path = u->file,
		.engine = u->engine,
		.cache = u->cache,
		.read_only = u->read_only || u->cdrom,
		.shared = u->locking != 0,
		.size = u->size,
		.block_size = block_size_of[u->block_size],
	};
	char why[WHY_SIZE];
	int ret;

	if (u->passthrough || unit_share(scsi, u))
		return 0;
	ret = storage_open(&u->storage, &params, why, sizeof(why));
	if (ret)
		daemon_err("--lun=%s: %s", u->name, why);
	return ret;
}

static void unit_close(struct unit *u, bool served)
{
	struct storage_info info;

	if (!u->storage || u->shares)
		return;
	storage_info(u->storage, &info);
	if (info.created && !served)
		unlink(u->file);
	storage_close(u->storage);
}

static void scsi_close(struct daemon_run *run, bool served)
{
	struct scsi *scsi = daemon_own(run);
	unsigned int i;

	for (i = 0; i < scsi->luns.num; i++)
		unit_close(&scsi->units[i], served);
}

static void unit_needs(struct daemon_run *run, const struct unit *u)
{
	if (u->file)
		daemon_need_image(run, u->file, u->read_only || u->cdrom, u->size);
	if (u->reservations)
		daemon_need_file(run, u->reservations, DAEMON_MAKE);
	if (!u->passthrough)
		return;
	daemon_need_file(run, u->passthrough, DAEMON_WRITE);
	/* Without it the kernel passes on only some commands. */
	daemon_need_cap(run, CAP_SYS_RAWIO);
}

static void scsi_needs(struct daemon_run *run)
{
	const struct scsi *scsi = daemon_own(run);
	unsigned int i;

	for (i = 0; i < scsi->luns.num; i++)
		unit_needs(run, &scsi->units[i]);
}

static int scsi_open(struct daemon_run *run)
{
	struct scsi *scsi = daemon_own(run);
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < scsi->luns.num; i++)
		ret = unit_open(scsi, &scsi->units[i]);
	if (ret)
		scsi_close(run, false);
	return ret;
}

/*
 * The device
 */

static void unit_log(const struct unit *u)
{
	struct storage_info info;

	if (u->passthrough) {
		daemon_log(VHOST_LOG_INFO, "unit %u:%u: %s", u->address.target, u->address.lun,
			   u->passthrough);
		return;
	}
	storage_info(u->storage, &info);
	daemon_log(VHOST_LOG_INFO, "unit %u:%u: %s, %" PRIu64 " bytes, engine %s, cache %s%s%s",
		   u->address.target, u->address.lun, u->file ? u->file : "no image", info.size,
		   info.engine, caches[u->cache], u->cdrom ? ", CD-ROM" : "",
		   info.read_only ? ", read-only" : "");
}

static int unit_add(const struct scsi *scsi, const struct unit *u)
{
	const struct scsi_lun_params params = {
		.address = u->address,
		.storage = u->storage,
		.passthrough = u->passthrough,
		.cdrom = u->cdrom,
		.block_size = u->cdrom ? 0 : block_size_of[u->block_size],
		.serial = u->serial,
		.reservations = u->reservations,
	};
	char why[WHY_SIZE];
	int ret = scsi_lun_add(virtio_scsi_target(scsi->device), &params, why, sizeof(why));

	if (ret)
		daemon_err("--lun=%s: %s", u->name, why);
	return ret;
}

static void scsi_connection(void *arg, bool up)
{
	daemon_connection(arg, up);
}

static int scsi_create(struct daemon_run *run, struct vhost_dev **dev)
{
	struct scsi *scsi = daemon_own(run);
	const struct daemon_conf *conf = daemon_conf(run);
	struct virtio_scsi_params params = {
		.name = "vhost-user-scsi",
		.control = daemon_control(run),
		.queues = conf->num_queues,
		.queue_size = conf->queue_size,
		.flags = daemon_dev_flags(conf) | VHOST_DEV_INFLIGHT,
		.features_off = daemon_dev_features_off(conf),
		.arg = run,
		.connection = scsi_connection,
	};
	unsigned int i;
	int ret;

	params.workers = daemon_workers(run, &params.num_workers);
	ret = virtio_scsi_new(&scsi->device, &params);
	if (ret) {
		daemon_err("cannot make the device: %s", strerror(-ret));
		return ret;
	}
	for (i = 0; !ret && i < scsi->luns.num; i++)
		ret = unit_add(scsi, &scsi->units[i]);
	if (ret) {
		virtio_scsi_free(scsi->device);
		return ret;
	}
	for (i = 0; i < scsi->luns.num; i++)
		unit_log(&scsi->units[i]);
	*dev = virtio_scsi_dev(scsi->device);
	return 0;
}

static void scsi_destroy(struct daemon_run *run)
{
	struct scsi *scsi = daemon_own(run);

	virtio_scsi_free(scsi->device);
}

int main(int argc, char **argv)
{
	static const unsigned long ioctls[] = { SG_GET_VERSION_NUM, 0 };
	static const struct daemon scsi_daemon = {
		.name = "vhost-user-scsi",
		.summary = "Files and block devices as a virtual machine's SCSI disks, over "
			   "vhost-user.",
		.type = "scsi",
		.features = features,
		.options = options,
		.queues = &daemon_request_queues,
		.own_size = sizeof(struct scsi),
		.check = scsi_check,
		.needs = scsi_needs,
		.ioctls = ioctls,
		.open = scsi_open,
		.create = scsi_create,
		.binds = true,
		.destroy = scsi_destroy,
		.close = scsi_close,
		.forget = scsi_forget,
	};

	return daemon_main(&scsi_daemon, argc, argv);
}
