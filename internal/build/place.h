#pragma once

/* The line of a Dockerfile that a builder's message is about. */

/* By a step's name, "[stage 2/5] RUN make" (the n-th step of a stage); 0 when it can't be told. */
int place_of_step(const char *dockerfile, const char *step);
/* By the text of an error: "dockerfile parse error on line 3: …"; 0 when it names none. */
int place_in_error(const char *text);
