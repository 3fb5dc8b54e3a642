
#ifdef __cplusplus
}
#endif

#endif /* DYNLOAD_H */
