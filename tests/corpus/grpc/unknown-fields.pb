
echošlater*
xUINT8*" 