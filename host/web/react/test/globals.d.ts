/** Folder of the package, set where the tests are bundled. */
declare const PACKAGE: string;
