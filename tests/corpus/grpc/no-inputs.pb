
echo