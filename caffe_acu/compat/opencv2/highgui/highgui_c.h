// See highgui.hpp in this folder.
#include "opencv2/highgui/highgui.hpp"
