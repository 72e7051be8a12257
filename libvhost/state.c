/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <errno.h>

int proto_set_device_state_fd(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}

int proto_check_device_state(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}
