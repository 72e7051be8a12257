/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user-net: a tap interface as a virtual machine's network. */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/control.h"
#include "daemons/daemon.h"
#include "virtio_net.h"

#define WHY_SIZE 256

/* Of an MTU (VIRTIO 5.1.4.1). */
#define MTU_MIN 68
#define MTU_MAX 65535

enum { PORT_TAP, PORT_NULL };

/* The state of a run; the options come first. */
struct net {
	const char *tap;		/* NULL: not given */
	const char *tap_fd;		/* NULL: not given */
	unsigned int kind;		/* PORT_* */
	unsigned int packet_size;	/* bytes, of PORT_NULL */
	const char *mac_text;		/* NULL: not given */
	const char *mtu_text;		/* NULL: not given */
	const char *bridge;		/* NULL: not given */
	bool up;

	unsigned int mtu;		/* 0: not given */
	uint8_t mac[6];
	int fds[PORT_PAIRS_MAX];	/* of tap_fd */
	unsigned int num_fds;
	struct port *port;
	struct virtio_net *device;
};

static const char *const kinds[] = { [PORT_TAP] = "tap", [PORT_NULL] = "null", NULL };
static const struct port_ops *const port_of[] = {
	[PORT_TAP] = &port_tap, [PORT_NULL] = &port_null,
};

#define FIELD(field) .offset = offsetof(struct net, field)

static const struct option_def options[] = {
	{ "tap", OPTION_TEXT, FIELD(tap), .arg = "IFNAME",
	  .help = "the tap interface to attach to, or to create" },
	{ "tap-fd", OPTION_TEXT, FIELD(tap_fd), .arg = "N[,N...]",
	  .help = "the tap's queues, opened by somebody else as these file descriptors" },
	{ "port", OPTION_CHOICE, FIELD(kind), .choices = kinds,
	  .help = "where packets go (default tap); null: nowhere, for benchmarks" },
	{ "packet-size", OPTION_NUMBER, FIELD(packet_size), .arg = "N", .max = 65535,
	  .help = "bytes of the packets which come from --port=null (default 0: none come)" },
	{ "mac", OPTION_TEXT, FIELD(mac_text), .arg = "ADDRESS",
	  .help = "the guest's address, if the front-end has none for it" },
	{ "mtu", OPTION_TEXT, FIELD(mtu_text), .arg = "N",
	  .help = "longest packet of the interface and of the guest, 68 to 65535 bytes" },
	{ "bridge", OPTION_TEXT, FIELD(bridge), .arg = "IFNAME",
	  .help = "add the interface to this bridge" },
	{ "up", OPTION_FLAG, FIELD(up), .help = "set the interface up" },
	{ 0 }
};

#undef FIELD

/*
 * Options
 */

static bool net_parse_mac(struct net *net)
{
	unsigned int i, len = 0, b[6];
	int end = 0;

	if (!net->mac_text)
		return true;
	len = (unsigned int)strlen(net->mac_text);
	/* Two digits each, which sscanf() alone does not ask for. */
	if (strspn(net->mac_text, "0123456789abcdefABCDEF:") != len || len != 17 ||
	    sscanf(net->mac_text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4],
		   &b[5], &end) != 6 || end != 17)
		return false;
	for (i = 0; i < 6; i++)
		net->mac[i] = (uint8_t)b[i];
	return true;
}

/* Whether the address is that of one station. */
static bool net_mac_is_good(const struct net *net)
{
	static const uint8_t none[6];

	return !net->mac_text || (!(net->mac[0] & 1) && memcmp(net->mac, none, sizeof(none)));
}

/* The decimal number at *p, which *p is behind then; -1: there is none, or it is too large. */
static long net_parse_number(const char **p)
{
	char *end;
	long n;

	if (**p < '0' || **p > '9')
		return -1;
	errno = 0;
	n = strtol(*p, &end, 10);
	*p = end;
	return errno || n > INT32_MAX ? -1 : n;
}

static bool net_parse_mtu(struct net *net)
{
	const char *p = net->mtu_text;
	long n;

	if (!p)
		return true;
	n = net_parse_number(&p);
	if (*p || n < MTU_MIN || n > MTU_MAX)
		return false;
	net->mtu = (unsigned int)n;
	return true;
}

static bool net_parse_fds(struct net *net)
{
	const char *p = net->tap_fd;
	long fd;

	for (; p; p = *p ? p + 1 : NULL) {
		fd = net_parse_number(&p);
		if (fd < 0 || (*p && *p != ',') || net->num_fds == PORT_PAIRS_MAX)
			return false;
		net->fds[net->num_fds++] = (int)fd;
	}
	return true;
}

static const char *net_conflict(const struct net *net)
{
	bool tap = net->tap || net->tap_fd;

	if (net->tap && net->tap_fd)
		return "--tap, --tap-fd: only one of them can be given";
	if (net->kind == PORT_NULL && tap)
		return "--port=null: it has no --tap and no --tap-fd";
	if (net->kind == PORT_TAP && !tap)
		return "--tap, --tap-fd or --port=null: one of them is required";
	if (net->packet_size && net->kind != PORT_NULL)
		return "--packet-size: it needs --port=null";
	if (net->packet_size && net->packet_size < 14)
		return "--packet-size: shorter than an Ethernet header of 14 bytes";
	if ((net->bridge || net->up) && !net->tap)
		return "--bridge, --up: they need --tap";
	return NULL;
}

static int net_check(struct daemon_device *device)
{
	const char *why = net_conflict(daemon_own(device));

	if (!why)
		return 0;
	device_err(device, "%s", why);
	return -EINVAL;
}

/* Values which are more than a word or a number. */
static int net_judge(struct daemon_device *device)
{
	struct net *net = daemon_own(device);
	const unsigned int pairs = daemon_conf(device)->num_queues;

	if (!net_parse_mac(net))
		device_err(device, "--mac=%s: not six bytes as in 52:54:00:12:34:56", net->mac_text);
	else if (!net_mac_is_good(net))
		device_err(device, "--mac=%s: not the address of one station", net->mac_text);
	else if (!net_parse_mtu(net))
		device_err(device, "--mtu=%s: not a number from %d to %d", net->mtu_text, MTU_MIN, MTU_MAX);
	else if (!net_parse_fds(net))
		device_err(device, "--tap-fd=%s: not file descriptors with commas between", net->tap_fd);
	else if (net->tap_fd && net->num_fds != pairs)
		device_err(device, "--tap-fd=%s: %u of them, not as many as --queue-pairs=%u", net->tap_fd,
			   net->num_fds, pairs);
	else
		return 0;
	return -EINVAL;
}

/*
 * The sequence
 */

static void net_needs(struct daemon_device *device)
{
	const struct net *net = daemon_own(device);

	if (!net->tap)
		return;
	/* At any time: the interface may go and come back. */
	daemon_need_file(device, "/dev/net/tun", DAEMON_WRITE);
	daemon_need_cap(device, CAP_NET_ADMIN);
}

static int net_open(struct daemon_device *device)
{
	struct net *net = daemon_own(device);
	struct port_params params = {
		.ifname = net->tap,
		.fds = net->fds,
		.pairs = daemon_conf(device)->num_queues,
		.bridge = net->bridge,
		.up = net->up,
		.packet_size = net->packet_size,
	};
	char why[WHY_SIZE] = "";
	int ret;

	params.mtu = net->mtu;
	ret = port_of[net->kind]->open(&net->port, &params, why, sizeof(why));
	if (ret && net->tap)
		device_err(device, "--tap=%s: %s", net->tap, why);
	else if (ret && net->tap_fd)
		device_err(device, "--tap-fd=%s: %s", net->tap_fd, why);
	else if (ret)
		device_err(device, "--port=%s: %s", kinds[net->kind], strerror(-ret));
	return ret;
}

static void net_connection(void *arg, bool up)
{
	daemon_connection(arg, up);
}

/* How messages call the interface. */
static const char *net_port_name(const struct net *net)
{
	return net->tap ? net->tap : net->tap_fd ? "--tap-fd" : kinds[net->kind];
}

static void net_link(void *arg, enum virtio_net_news news)
{
	static const struct {
		enum vhost_log_level level;
		const char *text;
	} lines[] = {
		[NET_GONE] = { VHOST_LOG_WARN, "has gone" },
		[NET_BACK] = { VHOST_LOG_INFO, "is back" },
		[NET_DOWN] = { VHOST_LOG_WARN, "is down" },
		[NET_UP] = { VHOST_LOG_INFO, "is up" },
		[NET_PULLED] = { VHOST_LOG_INFO, "is out of the guest's reach" },
		[NET_PLUGGED] = { VHOST_LOG_INFO, "is within the guest's reach" },
	};

	/* Possibly while the device is being made. */
	device_log(arg, lines[news].level, "%s: the interface %s", net_port_name(daemon_own(arg)),
		   lines[news].text);
}

static int net_create(struct daemon_device *device, struct vhost_dev **dev)
{
	struct net *net = daemon_own(device);
	const struct daemon_conf *conf = daemon_conf(device);
	const struct virtio_net_params params = {
		.name = daemon_dev_name(device),
		.port = net->port,
		.control = daemon_control(device),
		.queue_size = conf->queue_size,
		.flags = daemon_dev_flags(device),
		.features_off = daemon_dev_features_off(device),
		.mac = net->mac_text ? net->mac : NULL,
		.mtu = net->mtu,
		.arg = device,
		.connection = net_connection,
		.link = net_link,
	};
	int ret = virtio_net_new(&net->device, &params);

	if (ret) {
		device_err(device, "cannot make the device: %s", strerror(-ret));
		return ret;
	}
	device_log(device, VHOST_LOG_INFO, "%s: %u pairs of queues", net_port_name(net),
		   conf->num_queues);
	*dev = virtio_net_dev(net->device);
	return 0;
}

/* What a queue has done, if it has done anything. */
static void net_log_queue(const struct daemon_device *device, unsigned int queue)
{
	const struct net *net = daemon_own(device);
	struct vhost_queue_stats q;
	struct virtio_net_stats s;

	virtio_net_stats(net->device, queue, &s);
	vhost_queue_stats(vhost_dev_queue(virtio_net_dev(net->device), queue), &q);
	if (!q.requests && !q.kicks)
		return;
	device_log(device, VHOST_LOG_DEBUG,
		   "queue %u: packets %" PRIu64 " bytes %" PRIu64 " malformed %" PRIu64
		   " too_long %" PRIu64 " refused %" PRIu64 " discarded %" PRIu64
		   " no_link %" PRIu64, queue, s.packets, s.bytes, s.malformed, s.too_long,
		   s.refused, s.discarded, s.no_link);
	device_log(device, VHOST_LOG_DEBUG,
		   "queue %u: kicks %" PRIu64 " signals %" PRIu64 " suppressed %" PRIu64
		   " poll_hits %" PRIu64 " poll_misses %" PRIu64, queue, q.kicks, q.signals,
		   q.suppressed, q.poll_hits, q.poll_misses);
}

static void net_destroy(struct daemon_device *device)
{
	struct net *net = daemon_own(device);
	unsigned int i;

	/* The queues' workers are idle for good. */
	for (i = 0; i < 2 * daemon_conf(device)->num_queues; i++)
		net_log_queue(device, i);
	virtio_net_free(net->device);
}

static void net_close(struct daemon_device *device, bool served)
{
	struct net *net = daemon_own(device);

	(void)served;
	net->port->ops->close(net->port);
}

/*
 * For the control socket
 */

struct link_params {
	unsigned int state;		/* place in link_states */
};

static const char *const link_states[] = { "up", "down", NULL };

static const struct option_def link_params[] = {
	{ "state", OPTION_CHOICE, offsetof(struct link_params, state), .choices = link_states,
	  .help = "down: as if the guest's cable were pulled" },
	{ 0 }
};

static void method_link(struct control_call *call, const void *values)
{
	const struct link_params *params = values;
	const struct net *net = daemon_own(control_device(call));
	struct json_object *result;

	if (control_given(call, "state"))
		virtio_net_set_link(net->device, params->state == 0);
	result = json_object_new_object();
	json_add(result, "state", json_object_new_string(
			 link_states[!virtio_net_has_link(net->device)]));
	control_reply(call, result);
}

static const struct control_method methods[] = {
	{ "link", "whether the guest's network has a link, or is to have one", CONTROL_DEVICE, link_params,
	  sizeof(struct link_params), .fn = method_link },
	{ 0 }
};

static void net_status(struct daemon_device *device, struct json_object *status)
{
	const struct net *net = daemon_own(device);

	json_add(status, "interface", json_text(net_port_name(net)));
	json_add(status, "link", json_object_new_string(
			 link_states[!virtio_net_has_link(net->device)]));
}

static const char *const counters[] = {
	"packets", "bytes", "malformed", "too_long", "refused", "discarded", "no_link", NULL
};

static void net_queue_stats(struct daemon_device *device, unsigned int queue, uint64_t *values)
{
	const struct net *net = daemon_own(device);
	struct virtio_net_stats s;

	virtio_net_stats(net->device, queue, &s);
	values[0] = s.packets;
	values[1] = s.bytes;
	values[2] = s.malformed;
	values[3] = s.too_long;
	values[4] = s.refused;
	values[5] = s.discarded;
	values[6] = s.no_link;
}

int main(int argc, char **argv)
{
	static const struct daemon net_daemon = {
		.name = "vhost-user-net",
		.summary = "A tap interface as a virtual machine's network, over vhost-user.",
		.type = "net",
		.options = options,
		.own_size = sizeof(struct net),
		.queues = &daemon_queue_pairs,
		.check = net_check,
		.judge = net_judge,
		.needs = net_needs,
		.ioctls = port_ioctls,
		.open = net_open,
		.create = net_create,
		.destroy = net_destroy,
		.close = net_close,
		.methods = methods,
		.status = net_status,
		.counters = counters,
		.queue_stats = net_queue_stats,
	};

	return daemon_main(&net_daemon, argc, argv);
}
