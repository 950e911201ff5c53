"""Drawing: a widget never knows where its data came from."""
