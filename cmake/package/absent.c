/* Stands in for libraries that the package leaves out: Debian's OpenCV, HDF5 and libtiff are linked with them, but
 * only for GDAL's and GDCM's image formats, OpenGL windows, HDF5 files in Amazon's S3, and JBIG in TIFF. They
 * bring some 100 more libraries along, an OpenSSL that must not get between Python and its own, and the GPL.
 *
 * Every function returns 0, which means to its caller: nothing registered, nothing opened, nothing read. Only
 * jbg_dec_in returns 0 for success. Nothing here is called when images are read that Caffe's users have. */

static long nothing(void) { return 0; }
static long failure(void) { return -1; }

#define ABSENT(name) long name(void) __attribute__((alias("nothing")))
#define FAILING(name) long name(void) __attribute__((alias("failure")))

/* GDAL, of libopencv_imgcodecs */
ABSENT(GDALAllRegister);
ABSENT(GDALClose);
ABSENT(GDALGetDataTypeName);
ABSENT(GDALOpen);
ABSENT(_ZN11GDALDataset13GetRasterBandEi);
ABSENT(_ZN11GDALDataset14GetRasterCountEv);
ABSENT(_ZN11GDALDataset14GetRasterXSizeEv);
ABSENT(_ZN11GDALDataset14GetRasterYSizeEv);
ABSENT(_ZN14GDALRasterBand17GetRasterDataTypeEv);
ABSENT(_ZN14GDALRasterBand8GetXSizeEv);
ABSENT(_ZN14GDALRasterBand8GetYSizeEv);
ABSENT(_ZN14GDALRasterBand8RasterIOE10GDALRWFlagiiiiPvii12GDALDataTypexxP20GDALRasterIOExtraArg);
ABSENT(_ZNK14GDALColorTable13GetColorEntryEi);
ABSENT(_ZNK14GDALColorTable24GetPaletteInterpretationEv);

/* GDCM (DICOM), of libopencv_imgcodecs */
ABSENT(_ZN4gdcm11ImageReader4ReadEv);
ABSENT(_ZN4gdcm11ImageReader8GetImageEv);
ABSENT(_ZN4gdcm11ImageReaderC1Ev);
ABSENT(_ZN4gdcm11ImageReaderD1Ev);
ABSENT(_ZN4gdcm6Reader11SetFileNameEPKc);
ABSENT(_ZNK4gdcm11PixelFormat13GetScalarTypeEv);
ABSENT(_ZNK4gdcm6Bitmap13GetDimensionsEv);
ABSENT(_ZNK4gdcm6Bitmap15GetBufferLengthEv);
ABSENT(_ZNK4gdcm6Bitmap21GetNumberOfDimensionsEv);
ABSENT(_ZNK4gdcm6Bitmap28GetPhotometricInterpretationEv);
ABSENT(_ZNK4gdcm6Bitmap9GetBufferEPc);

/* OpenGL, of libopencv_core */
ABSENT(glXGetCurrentContext);
ABSENT(glXGetCurrentDisplay);
ABSENT(glXGetProcAddressARB);

/* libcrypto and libcurl, of libhdf5_serial; their versions are in absent.map */
ABSENT(EVP_sha256);
ABSENT(HMAC);
ABSENT(SHA256);
ABSENT(curl_easy_cleanup);
ABSENT(curl_easy_init);
ABSENT(curl_easy_perform);
ABSENT(curl_easy_setopt);
ABSENT(curl_global_cleanup);
ABSENT(curl_global_init);
ABSENT(curl_slist_append);
ABSENT(curl_slist_free_all);

/* JBIG-KIT, of libtiff */
ABSENT(jbg_dec_free);
ABSENT(jbg_dec_getimage);
ABSENT(jbg_dec_getsize);
FAILING(jbg_dec_in);
ABSENT(jbg_dec_init);
ABSENT(jbg_enc_free);
ABSENT(jbg_enc_init);
ABSENT(jbg_enc_out);
ABSENT(jbg_newlen);
ABSENT(jbg_strerror);
