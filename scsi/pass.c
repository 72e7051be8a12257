/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passthrough: the driver's commands go to a device of the host as they are, by the
 * asynchronous interface of Linux's sg driver, version 3.
 *
 * A command is written to the device's file as a struct sg_io_hdr, and read from there when it
 * has ended, which poll tells.  Each nexus has its own open file, because a file gives the answers
 * to what was written to it.  The kernel does as many commands of a file at a time as it can
 * queue (SG_MAX_QUEUE); more are told TASK SET FULL, and the driver tries again, with fewer.
 *
 * A command which the device does not answer is the host's to recover: when the unit's timeout
 * has passed, the host's error handler aborts it, and resets the device if need be.  Nothing else
 * ends it, since it is the kernel that has the command and its memory; so who aborts it, waits
 * for that.
 *
 * When the host loses the device, its files are readable for ever without anything to read.
 */
#include "scsi/pass.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvhost.h"

#define SG_VERSION_MIN	30000

#define KEY_HARDWARE_ERROR	0x4
#define INTERNAL_FAILURE	0x4400
#define KEY_ILLEGAL_REQUEST	0x5
#define UNIT_NOT_SUPPORTED	0x2500
#define KEY_ABORTED_COMMAND	0xb
#define COMMAND_TIMEOUT		0x2e02	/* COMMAND TIMEOUT DURING PROCESSING */

/* How often to look for the last answers of a device which is gone, in microseconds. */
#define GONE_INTERVAL		100000

/* What the host's adapter says of a command, as Linux numbers it. */
enum { HOST_OK, HOST_NO_CONNECT, HOST_BUS_BUSY, HOST_TIMEOUT, HOST_BAD_TARGET, HOST_ABORT,
       HOST_PARITY, HOST_ERROR, HOST_RESET, HOST_SOFT_ERROR = 0xb, HOST_IMM_RETRY = 0xc,
       HOST_REQUEUE = 0xd };

struct pass_chan {
	int fd;
	unsigned int timeout;		/* milliseconds, for the kernel */
	unsigned int pending;		/* commands which the kernel has */
	struct event *event;		/* an answer can be read */
	struct event *later;		/* the device is gone: wait for this event again */
};

static int pass_refuse(char *why, size_t why_size, int err, const char *text)
{
	snprintf(why, why_size, "%s", text);
	return err;
}

static int pass_open_fd(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int pass_check(const struct scsi_lun *lun, char *why, size_t why_size)
{
	int fd = pass_open_fd(lun->params.passthrough), version, ret = 0;

	if (fd < 0)
		return pass_refuse(why, why_size, fd, strerror(-fd));
	if (ioctl(fd, SG_GET_VERSION_NUM, &version) || version < SG_VERSION_MIN)
		ret = pass_refuse(why, why_size, -ENODEV, "not a /dev/sg device");
	close(fd);
	return ret;
}

/* What is neither the device's nor the driver's fault, or goes away by itself. */
static void pass_host_failed(struct scsi_cmd *cmd, unsigned int host)
{
	cmd->transferred = 0;
	switch (host) {
	case HOST_NO_CONNECT:
	case HOST_BAD_TARGET:
		cmd->outcome = SCSI_NO_TARGET;
		break;
	case HOST_RESET:
		cmd->outcome = SCSI_RESET;
		break;
	case HOST_TIMEOUT:
		scsi_check_condition(cmd, KEY_ABORTED_COMMAND, COMMAND_TIMEOUT);
		break;
	case HOST_BUS_BUSY:
	case HOST_SOFT_ERROR:
	case HOST_IMM_RETRY:
	case HOST_REQUEUE:
		cmd->status = SCSI_BUSY;
		break;
	default:
		scsi_check_condition(cmd, KEY_HARDWARE_ERROR, INTERNAL_FAILURE);
	}
}

static void pass_end(const struct sg_io_hdr *hdr)
{
	struct scsi_cmd *cmd = hdr->usr_ptr;
	unsigned int resid = hdr->resid > 0 ? (unsigned int)hdr->resid : 0;

	cmd->status = (enum scsi_status)(hdr->status & 0xfe);
	cmd->transferred = resid < hdr->dxfer_len ? hdr->dxfer_len - resid : 0;
	cmd->sense_len = hdr->sb_len_wr;
	if (hdr->host_status != HOST_OK)
		pass_host_failed(cmd, hdr->host_status);
	scsi_finish(cmd);
}

/* Whether there was an answer. */
static bool pass_read(struct pass_chan *chan)
{
	struct sg_io_hdr hdr = { .interface_id = 'S', .pack_id = -1 };

	if (read(chan->fd, &hdr, sizeof(hdr)) != sizeof(hdr))
		return false;
	chan->pending--;
	pass_end(&hdr);
	return true;
}

static void pass_readable(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval interval = { .tv_usec = GONE_INTERVAL };
	struct pass_chan *chan = arg;
	unsigned int n = 0;

	(void)fd, (void)what;
	while (pass_read(chan))
		n++;
	if (n)
		return;
	/* The device is gone, and the event would come again at once. */
	event_del(chan->event);
	if (chan->pending)
		event_add(chan->later, &interval);
}

static void pass_later(evutil_socket_t fd, short what, void *arg)
{
	struct pass_chan *chan = arg;

	(void)fd, (void)what;
	event_add(chan->event, NULL);
}

static int pass_add_events(struct pass_chan *chan, struct event_base *base)
{
	chan->event = event_new(base, chan->fd, EV_READ | EV_PERSIST, pass_readable, chan);
	chan->later = evtimer_new(base, pass_later, chan);
	return chan->event && chan->later && !event_add(chan->event, NULL) ? 0 : -ENOMEM;
}

int pass_chan_open(const struct scsi_lun *lun, struct vhost_worker *w, struct pass_chan **result)
{
	struct pass_chan *chan = calloc(1, sizeof(*chan));
	unsigned int seconds = lun->params.timeout;
	int ret;

	if (!chan)
		return -ENOMEM;
	/* The kernel's longest is some 49 days, or 24 as it counts them. */
	chan->timeout = seconds && seconds < INT_MAX / 1000 ? seconds * 1000 : INT_MAX;
	chan->fd = pass_open_fd(lun->params.passthrough);
	ret = chan->fd < 0 ? chan->fd : pass_add_events(chan, vhost_worker_base(w));
	if (ret) {
		pass_chan_close(chan);
		return ret;
	}
	*result = chan;
	return 0;
}

void pass_chan_close(struct pass_chan *chan)
{
	if (chan->event)
		event_free(chan->event);
	if (chan->later)
		event_free(chan->later);
	if (chan->fd >= 0)
		close(chan->fd);
	free(chan);
}

/* Bytes of a CDB, by its first (SPC-4 4.2.5.1). */
static uint8_t pass_cdb_len(const uint8_t *cdb)
{
	static const uint8_t lens[8] = { 6, 10, 10, 0, 16, 12, 0, 0 };

	if (cdb[0] == 0x7f)
		return (uint8_t)(cdb[7] < SCSI_CDB_MAX - 8 ? 8 + cdb[7] : SCSI_CDB_MAX);
	/* Of vendors' commands nobody can tell. */
	return lens[cdb[0] >> 5] ? lens[cdb[0] >> 5] : 16;
}

/* The kernel has not taken the command, and says why. */
static void pass_not_taken(const struct pass_chan *chan, struct scsi_cmd *cmd, int err)
{
	switch (err) {
	case EDOM:
	case EAGAIN:
	case EBUSY:
	case ENOMEM:
		cmd->status = chan->pending ? SCSI_TASK_SET_FULL : SCSI_BUSY;
		break;
	case ENODEV:
	case ENXIO:
		scsi_check_condition(cmd, KEY_ILLEGAL_REQUEST, UNIT_NOT_SUPPORTED);
		break;
	default:
		scsi_check_condition(cmd, KEY_HARDWARE_ERROR, INTERNAL_FAILURE);
	}
}

void pass_execute(struct pass_chan *chan, struct scsi_cmd *cmd)
{
	bool out = cmd->out_len;
	struct sg_io_hdr hdr = {
		.interface_id = 'S',
		.dxfer_direction = out ? SG_DXFER_TO_DEV :
				   cmd->in_len ? SG_DXFER_FROM_DEV : SG_DXFER_NONE,
		.cmd_len = pass_cdb_len(cmd->cdb),
		.mx_sb_len = SCSI_SENSE_MAX,
		.iovec_count = (unsigned short)(out ? cmd->out_cnt : cmd->in_cnt),
		.dxfer_len = (unsigned int)(out ? cmd->out_len : cmd->in_len),
		.dxferp = (void *)(out ? cmd->out : cmd->in),
		.cmdp = cmd->cdb,
		.sbp = cmd->sense,
		.timeout = chan->timeout,
		.usr_ptr = cmd,
	};

	if (cmd->out_cnt > USHRT_MAX || cmd->in_cnt > USHRT_MAX || (out && cmd->in_len)) {
		scsi_check_condition(cmd, KEY_HARDWARE_ERROR, INTERNAL_FAILURE);
		scsi_finish(cmd);
		return;
	}
	if (write(chan->fd, &hdr, sizeof(hdr)) == sizeof(hdr)) {
		chan->pending++;
		return;
	}
	pass_not_taken(chan, cmd, errno);
	scsi_finish(cmd);
}
