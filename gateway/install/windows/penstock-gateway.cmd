@echo off
rem Runs the gateway with the Node that is on the PATH, or the one that NODE names.
if "%NODE%"=="" set NODE=node
"%NODE%" --max-semi-space-size=8 "%~dp0lib\main.js" %*
