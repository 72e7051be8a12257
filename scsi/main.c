/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user-scsi: SCSI targets with any number of units for a virtual machine. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/virtio_scsi.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/control.h"
#include "daemons/daemon.h"
#include "units.h"
#include "util.h"
#include "virtio_scsi.h"

/* The state of a run; the options come first. */
struct scsi {
	struct option_list luns;	/* also those which came and went later */
	const char *images;		/* folder of those which come later; NULL: not given */

	struct units units;
	struct virtio_scsi *device;
};

static const struct option_def options[] = {
	{ "lun", OPTION_LIST, .offset = offsetof(struct scsi, luns), .arg = "[TARGET:]LUN,...",
	  .keys = unit_keys, .help = "a unit, 0 to 16383, of a target, 0 to 255 (default 0):" },
	{ "images", OPTION_TEXT, .offset = offsetof(struct scsi, images), .arg = "FOLDER",
	  .help = "where the sandbox lets lun-add find files" },
	{ 0 }
};

/*
 * The sequence
 */

static int scsi_check(struct daemon_device *device)
{
	struct scsi *scsi = daemon_own(device);
	char why[UNIT_WHY_SIZE];
	struct unit *u;
	unsigned int i;

	units_init(&scsi->units);
	if (daemon_conf(device)->num_queues > VIRTIO_SCSI_QUEUES_MAX) {
		device_err(device, "--num-queues=%u: not in the range from 1 to %u",
			   daemon_conf(device)->num_queues, VIRTIO_SCSI_QUEUES_MAX);
		return -EINVAL;
	}
	if (!scsi->luns.num) {
		device_err(device, "--lun: it is required");
		return -EINVAL;
	}
	for (i = 0; i < scsi->luns.num; i++) {
		if (!unit_new(&scsi->units, scsi->luns.values[i], &u, why))
			continue;
		device_err(device, "--lun=%s: %s", scsi->luns.values[i], why);
		return -EINVAL;
	}
	return 0;
}

static void scsi_forget(struct daemon_device *device)
{
	struct scsi *scsi = daemon_own(device);

	units_free(&scsi->units, true);
	option_list_free(&scsi->luns);
}

static void scsi_close(struct daemon_device *device, bool served)
{
	struct scsi *scsi = daemon_own(device);

	units_free(&scsi->units, served);
}

/* Do it to each unit; the reason why one fails is logged. */
static int scsi_each_unit(struct daemon_device *device,
			  int (*fn)(struct units *units, struct unit *u, char *why))
{
	struct scsi *scsi = daemon_own(device);
	char why[UNIT_WHY_SIZE];
	struct unit *u;
	int ret;

	for (u = scsi->units.first; u; u = u->next) {
		ret = fn(&scsi->units, u, why);
		if (!ret)
			continue;
		device_err(device, "--lun=%s: %s", u->name, why);
		return ret;
	}
	return 0;
}

static void unit_needs(struct daemon_device *device, const struct unit *u)
{
	image_need(device, &u->image);
	if (u->reservations)
		daemon_need_file(device, u->reservations, DAEMON_MAKE);
	if (!u->passthrough)
		return;
	daemon_need_file(device, u->passthrough, DAEMON_WRITE);
	/* Without it the kernel passes on only some commands. */
	daemon_need_cap(device, CAP_SYS_RAWIO);
}

static void scsi_needs(struct daemon_device *device)
{
	const struct scsi *scsi = daemon_own(device);
	const struct unit *u;

	if (scsi->images)
		daemon_need_file(device, scsi->images, DAEMON_FOLDER);
	for (u = scsi->units.first; u; u = u->next)
		unit_needs(device, u);
}

static int scsi_open(struct daemon_device *device)
{
	int ret = scsi_each_unit(device, unit_open);

	if (ret)
		scsi_close(device, false);
	return ret;
}

static void scsi_connection(void *arg, bool up)
{
	daemon_connection(arg, up);
}

static void scsi_io_error(void *arg, struct vhost_queue *q, const struct scsi_cmd *cmd)
{
	char unit[32];

	(void)arg;
	snprintf(unit, sizeof(unit), "unit %u:%u: ", cmd->address.target, cmd->address.lun);
	image_io_error(q, unit, &cmd->io, cmd->error);
}

static int scsi_create(struct daemon_device *device, struct vhost_dev **dev)
{
	struct scsi *scsi = daemon_own(device);
	const struct daemon_conf *conf = daemon_conf(device);
	struct virtio_scsi_params params = {
		.name = daemon_dev_name(device),
		.control = daemon_control(device),
		.queues = conf->num_queues,
		.queue_size = conf->queue_size,
		.flags = daemon_dev_flags(device) | VHOST_DEV_INFLIGHT,
		.features_off = daemon_dev_features_off(device),
		.arg = device,
		.connection = scsi_connection,
		.io_error = scsi_io_error,
	};
	const struct unit *u;
	int ret;

	params.workers = daemon_workers(device, &params.num_workers);
	ret = virtio_scsi_new(&scsi->device, &params);
	if (ret) {
		device_err(device, "cannot make the device: %s", strerror(-ret));
		return ret;
	}
	scsi->units.target = virtio_scsi_target(scsi->device);
	ret = scsi_each_unit(device, unit_serve);
	if (ret) {
		virtio_scsi_free(scsi->device);
		return ret;
	}
	for (u = scsi->units.first; u; u = u->next)
		unit_log(device, u);
	*dev = virtio_scsi_dev(scsi->device);
	return 0;
}

static void scsi_destroy(struct daemon_device *device)
{
	struct scsi *scsi = daemon_own(device);

	virtio_scsi_free(scsi->device);
}

/*
 * Methods of the control socket
 */

static const struct option_def no_keys[1];

static const struct option_def remove_item = {
	"lun", OPTION_LIST, .arg = "[TARGET:]LUN", .keys = no_keys,
};

static struct scsi *call_scsi(const struct control_call *call)
{
	return daemon_own(control_device(call));
}

/* The fd is that of its image, or -1; it is owned. */
static int scsi_add_unit(struct daemon_device *device, const char *name, int fd, char *why)
{
	struct scsi *scsi = daemon_own(device);
	struct unit *u;
	int ret = unit_new(&scsi->units, name, &u, why);

	if (ret) {
		close_fd(&fd);
		return ret;
	}
	u->fd = fd;
	u->given = fd >= 0;
	ret = unit_open(&scsi->units, u, why);
	if (!ret && option_list_add(&scsi->luns, name)) {
		snprintf(why, UNIT_WHY_SIZE, "%s", strerror(ENOMEM));
		ret = -ENOMEM;
	}
	if (!ret)
		ret = unit_serve(&scsi->units, u, why);
	if (ret) {
		option_list_remove(&scsi->luns, name);
		unit_free(&scsi->units, u, false);
		return ret;
	}
	unit_log(device, u);
	return 0;
}

static void method_lun_add(struct control_call *call, const void *values)
{
	char why[UNIT_WHY_SIZE];

	if (scsi_add_unit(control_device(call), values, control_take_fd(call), why))
		control_fail(call, "%s", why);
	else
		control_reply(call, NULL);
}

struct removal {
	struct control_call *call;
	struct unit *unit;
};

static void scsi_removed(void *arg)
{
	struct removal *removal = arg;
	struct control_call *call = removal->call;
	struct scsi *scsi = call_scsi(call);
	struct unit *u = removal->unit;

	device_log(control_device(call), VHOST_LOG_INFO, "unit %u:%u: removed", u->address.target, u->address.lun);
	option_list_remove(&scsi->luns, u->name);
	unit_free(&scsi->units, u, true);
	free(removal);
	control_reply(call, NULL);
}

/* The unit which the text names, and what follows behind a comma; NULL, and the call is ended. */
static struct unit *call_unit(struct control_call *call, char *text, char **rest)
{
	struct scsi_address address = { 0 };
	const char *wrong = unit_parse_address(text, &address, rest);
	struct unit *u;

	if (wrong) {
		control_refuse(call, "lun: %s", wrong);
		return NULL;
	}
	u = units_find(&call_scsi(call)->units, &address);
	if (u && !u->leaving)
		return u;
	control_fail(call, "there is no such unit");
	return NULL;
}

static void method_lun_remove(struct control_call *call, const void *values)
{
	char *rest, *text = strdup(values);
	struct removal *removal = malloc(sizeof(*removal));
	struct unit *u;
	int ret;

	if (!text || !removal) {
		control_fail(call, "%s", strerror(ENOMEM));
		goto out;
	}
	u = call_unit(call, text, &rest);
	if (!u)
		goto out;
	*removal = (struct removal){ call, u };
	u->leaving = true;
	ret = scsi_lun_remove(call_scsi(call)->units.target, &u->address, scsi_removed, removal);
	if (!ret) {
		removal = NULL;
		goto out;
	}
	u->leaving = false;
	control_fail(call, "%s", strerror(-ret));
out:
	free(removal);
	free(text);
}

struct resize_keys {
	uint64_t size;			/* bytes; 0: not given */
};

static const struct option_def resize_keys[] = {
	{ "size", OPTION_SIZE, offsetof(struct resize_keys, size), .min = 512, .max = INT64_MAX,
	  .help = "bytes, also with K, M, G or T; without it, what the image has by now" },
	{ 0 }
};

static const struct option_def resize_item = {
	"lun", OPTION_LIST, .arg = "[TARGET:]LUN", .keys = resize_keys,
};

static void scsi_resized(void *arg, int err)
{
	struct scsi *scsi = call_scsi(arg);

	if (err) {
		control_fail(arg, "%s", strerror(-err));
		return;
	}
	units_take_sizes(&scsi->units, &scsi->luns);
	control_reply(arg, NULL);
}

static void scsi_resize(struct control_call *call, const struct unit *u, uint64_t size)
{
	const struct storage_resize how = {
		.size = size,
		.control = daemon_control(control_device(call)),
		.done = scsi_resized,
		.arg = call,
	};
	char why[UNIT_WHY_SIZE];

	if (scsi_lun_resize(call_scsi(call)->units.target, &u->address, &how, why, sizeof(why)))
		control_fail(call, "%s", why);
}

static void method_resize(struct control_call *call, const void *values)
{
	struct resize_keys keys = { 0 };
	struct option_table table = { .defs = resize_keys, .values = &keys };
	char *rest, *text = strdup(values), why[OPTION_WHY_SIZE];
	const struct unit *u;

	if (!text) {
		control_fail(call, "%s", strerror(ENOMEM));
		return;
	}
	u = call_unit(call, text, &rest);
	if (u && rest && options_parse_keys(&table, rest, why))
		control_refuse(call, "%s", why);
	else if (u)
		scsi_resize(call, u, keys.size);
	free(text);
}

static void scsi_status(struct daemon_device *device, struct json_object *status)
{
	struct json_object *units = json_object_new_array(), *about;
	const struct scsi *scsi = daemon_own(device);
	const struct unit *u;
	char address[24];

	for (u = scsi->units.first; u; u = u->next) {
		about = json_object_new_object();
		snprintf(address, sizeof(address), "%u:%u", u->address.target, u->address.lun);
		json_add(about, "lun", json_object_new_string(address));
		if (u->passthrough)
			json_add(about, "file", json_text(u->passthrough));
		if (u->opened)
			image_status(u->opened->storage, &u->image, about);
		json_object_array_add(units, about);
	}
	json_add(status, "units", units);
}

static const char *const counters[] = {
	"malformed", "no_data", "data_in", "data_in_bytes", "data_out", "data_out_bytes", "refused",
	"failed", NULL
};

static void scsi_queue_stats(struct daemon_device *device, unsigned int queue, uint64_t *values)
{
	const struct scsi *scsi = daemon_own(device);
	struct virtio_scsi_stats s;

	virtio_scsi_stats(scsi->device, queue, &s);
	values[0] = s.malformed;
	values[1] = s.commands[VIRTIO_SCSI_NO_DATA];
	values[2] = s.commands[VIRTIO_SCSI_DATA_IN];
	values[3] = s.bytes[VIRTIO_SCSI_DATA_IN];
	values[4] = s.commands[VIRTIO_SCSI_DATA_OUT];
	values[5] = s.bytes[VIRTIO_SCSI_DATA_OUT];
	values[6] = s.refused;
	values[7] = s.failed;
}

static const struct control_method methods[] = {
	{ "lun-add", "add a unit, which the guest sees without a rescan", .item = &options[0],
	  .fn = method_lun_add },
	{ "lun-remove", "take a unit away, when its commands have ended", .item = &remove_item,
	  .fn = method_lun_remove },
	{ "resize", "change the size of a unit's image, which the guest sees at once",
	  .item = &resize_item, .fn = method_resize },
	{ 0 }
};

int main(int argc, char **argv)
{
	static const unsigned long ioctls[] = { SG_GET_VERSION_NUM, 0 };
	static const struct daemon scsi_daemon = {
		.name = "vhost-user-scsi",
		.summary = "Files and block devices as a virtual machine's SCSI disks, over "
			   "vhost-user.",
		.type = "scsi",
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
		.methods = methods,
		.status = scsi_status,
		.counters = counters,
		.queue_stats = scsi_queue_stats,
		.pauses = true,
		.first_request = VIRTIO_SCSI_QUEUE_REQUEST,
		.overhead = sizeof(struct virtio_scsi_cmd_req) + sizeof(struct virtio_scsi_cmd_resp),
	};

	return daemon_main(&scsi_daemon, argc, argv);
}
